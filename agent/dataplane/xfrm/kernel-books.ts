import { type InboundSa, type OutboundPolicy, type OutboundSa, spisOf, type UdpEndpoint } from "../../ipsec/security-association.ts";
import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import type { DataPlaneEvent, SaCounters } from "../data-plane.ts";
import { type BookedSa, countersOf, type Facts, isPastSoftLimit, templateOf } from "./booked-sa.ts";
import { type CardOutcome, describeOutcomes, outcomeOf, whyNotOffered } from "./card-offload.ts";
import { HeldInterfaces } from "./held-interfaces.ts";
import { InboundPolicies } from "./inbound-policies.ts";
import type { KernelEvent } from "./kernel-events.ts";
import { policiesOf, removeSas } from "./leftovers.ts";
import type { LinkInterfaces } from "./link-interfaces.ts";
import { outboundSelectors } from "./kernel-selectors.ts";
import { claimedSelectors, OutboundPolicies } from "./outbound-policies.ts";
import { ifIdOf, Reqids } from "./ownership.ts";
import { Paced } from "./paced.ts";
import type { PolicyTemplate } from "./policy-messages.ts";
import { PolicyStore } from "./policy-store.ts";
import { type KernelSa, saIdOf, type SaReport } from "./sa-messages.ts";
import { SaPatrol } from "./sa-patrol.ts";
import type { XfrmDatabases } from "./xfrm-kernel.ts";
import { reverseSelector } from "./xfrm-structures.ts";
import { YoungSas } from "./young-sas.ts";

/** How far an SA's sequence numbers jump when it moves: more than it can send between being read and being deleted. */
const MOVE_SKIP = 1 << 20;
/** A discarding policy tells of a packet again after so long. */
const ACQUIRE_AGAIN_MS = 1_000;
/** So long apart, at least, are looks at all policies. */
const RESTORE_AGAIN_MS = 1_000;

export interface BooksOptions {
  /** Null where the kernel has none. */
  readonly interfaces: LinkInterfaces | null;
  /** SAs are offered to network cards. */
  readonly offload: boolean;
  readonly emit: (event: DataPlaneEvent) => void;
}

/** Which SAs and policies of the kernel's are ours, and what its events mean to whoever gave the orders. Each order is carried out when it returns. */
export class KernelBooks {
  readonly #kernel: XfrmDatabases;
  readonly #interfaces: HeldInterfaces;
  readonly #offload: boolean;
  readonly #emit: (event: DataPlaneEvent) => void;
  readonly #reqids = new Reqids();
  readonly #sas = { inbound: new Map<number, BookedSa>(), outbound: new Map<number, BookedSa>() };
  readonly #store: PolicyStore;
  readonly #inbound: InboundPolicies;
  readonly #outbound: OutboundPolicies;
  readonly #young: YoungSas;
  readonly #patrol: SaPatrol<BookedSa>;
  readonly #askAgain = new Map<string, NodeJS.Timeout>();
  readonly #policiesMissing = new Paced(() => void this.#attempt(() => this.#restorePolicies(null)), RESTORE_AGAIN_MS);
  #leftoverTimer: NodeJS.Timeout | null = null;

  /** Removes the SAs that a killed run left; its policies stay until `removeLeftovers` or until one of ours takes their place. */
  constructor(kernel: XfrmDatabases, { interfaces, offload, emit }: BooksOptions) {
    this.#kernel = kernel;
    this.#offload = offload;
    this.#emit = emit;
    this.#interfaces = new HeldInterfaces(interfaces, emit, (work) => this.#attempt(work));
    removeSas(kernel);
    this.#store = new PolicyStore(kernel, policiesOf(kernel));
    this.#inbound = new InboundPolicies(this.#store, this.#reqids);
    this.#outbound = new OutboundPolicies(this.#store, this.#reqids);
    this.#young = new YoungSas((spi) => this.#attempt(() => this.#isUsed(spi)) ?? null);
    this.#patrol = new SaPatrol(
      () => [...this.#sas.inbound.values(), ...this.#sas.outbound.values()],
      (booked) => this.#attempt(() => this.#isThere(booked)) ?? true,
      (booked) => this.#tellOfLimit(booked, "hard"),
    );
  }

  installSa(sa: InboundSa | OutboundSa): void {
    const booked = this.#sas[sa.direction];
    if (booked.has(sa.spi)) throw new Error(`an ${sa.direction} SA with the SPI ${sa.spi.toString(16)} is installed already`);
    if (sa.protocol === "ah" && sa.encapsulation === "udp") throw new Error("AH never goes in UDP");
    const ifId = ifIdOf(sa.interfaceNumber);
    const selectors = sa.direction === "inbound" ? outboundSelectors(sa.localSelectors, sa.remoteSelectors, ifId) : [];
    const reqid = sa.direction === "inbound" ? this.#inbound.reqidFor(selectors) : this.#reqids.next();
    const { keys, ...rest } = sa;
    const facts: Facts = { ...rest, replayWindowPackets: sa.direction === "inbound" ? sa.replayWindowPackets : 0 };
    // With one selector the SA itself carries nothing else; with several it is their policies' matter.
    const [only, ...more] = selectors.map(reverseSelector);
    const card = this.#add({ ...facts, keys, reqid, ifId, selector: only !== undefined && more.length === 0 ? only : null });
    if (sa.direction === "inbound") {
      try {
        this.#inbound.add(sa.spi, selectors, { ...templateOf(facts, reqid), source: null, destination: null, spi: 0 });
      } catch (error) {
        this.#kernel.deleteSa(saIdOf(facts));
        throw error;
      }
      this.#young.add(sa.spi);
    }
    booked.set(sa.spi, { facts, reqid, selectors, last: null, told: "nothing", card });
    this.#patrol.begin();
  }

  /** What came of offering SAs to network cards, in a sentence; null: none is wanted. */
  describeOffload(): string | null {
    if (!this.#offload) return null;
    return describeOutcomes([...this.#sas.inbound.values(), ...this.#sas.outbound.values()].flatMap(({ card }) => card ?? []));
  }

  #add(sa: Omit<KernelSa, "offload">): CardOutcome | null {
    const whyNot = this.#offload ? whyNotOffered(sa) : null;
    const offload = this.#offload && whyNot === null;
    const refusal = this.#kernel.addSa({ ...sa, offload });
    if (offload) return outcomeOf(refusal, this.#kernel.querySa(saIdOf(sa))?.offloadDevice ?? 0);
    return whyNot === null ? null : { kind: "kernel", reason: whyNot };
  }

  updateSa(direction: "inbound" | "outbound", spi: EspSpi, remote: UdpEndpoint): void {
    const booked = this.#sas[direction].get(spi);
    if (booked === undefined) return;
    const { facts } = booked;
    if (facts.remote.address === remote.address && facts.remote.port === remote.port) return;
    const id = saIdOf(facts);
    booked.facts = { ...facts, remote };
    // The kernel takes what an inbound SA receives from wherever it comes; its port alone can be changed in place.
    if (direction === "inbound" && facts.remote.address !== remote.address) return;
    try {
      if (!this.#kernel.moveSa(id, { direction, remote, skip: MOVE_SKIP })) {
        // It cannot be where it is to be: where it was nobody would look for it.
        this.#kernel.deleteSa(id);
        this.#tellOfLimit(booked, "hard");
      }
      if (direction === "outbound") this.#outbound.retarget(spi, templateOf(booked.facts, booked.reqid));
    } catch (error) {
      this.#tellOfLimit(booked, "hard");
      throw error;
    }
  }

  querySa(direction: "inbound" | "outbound", spi: EspSpi): SaCounters | null {
    const booked = this.#sas[direction].get(spi);
    if (booked === undefined) return null;
    booked.last = this.#kernel.querySa(saIdOf(booked.facts)) ?? booked.last;
    return countersOf(booked.last);
  }

  deleteSa(direction: "inbound" | "outbound", spi: EspSpi): void {
    const booked = this.#sas[direction].get(spi);
    if (booked === undefined) return;
    this.#sas[direction].delete(spi);
    this.#young.delete(spi);
    this.#kernel.deleteSa(saIdOf(booked.facts));
    if (direction === "inbound") this.#inbound.remove(spi, booked.selectors);
  }

  /** @throws Error with a sentence; also when all but what another program has put in the place of ours is as it should be. */
  installPolicy(policy: OutboundPolicy): void {
    const booked = policy.action.kind === "protect" ? this.#sas.outbound.get(policy.action.spi) : undefined;
    if (spisOf(policy).some((spi) => !this.#sas.outbound.has(spi))) throw new Error(`the policy ${policy.id} names an SA that is not installed`);
    const releaseFormer = this.#interfaces.hold(policy);
    this.#outbound.install(policy, booked === undefined ? null : templateOf(booked.facts, booked.reqid));
    this.#inbound.claim(policy.id, claimedSelectors(policy));
    releaseFormer();
    const lost = this.#store.takeLost();
    if (lost.length > 0) throw new Error(lost.join("; "));
  }

  deletePolicy(id: string): void {
    this.#outbound.delete(id);
    this.#inbound.unclaim(id);
    this.#interfaces.release(id);
    clearTimeout(this.#askAgain.get(id));
    this.#askAgain.delete(id);
  }

  flush(): void {
    for (const direction of ["inbound", "outbound"] as const) {
      for (const { facts } of this.#sas[direction].values()) this.#kernel.deleteSa(saIdOf(facts));
      this.#sas[direction].clear();
    }
    this.#young.clear();
    this.#patrol.clear();
    this.#policiesMissing.clear();
    for (const timer of this.#askAgain.values()) clearTimeout(timer);
    this.#askAgain.clear();
    this.#inbound.clear();
    this.#outbound.clear();
    this.#store.clear();
    this.#interfaces.clear();
  }

  removeLeftovers(): void {
    if (this.#leftoverTimer !== null) clearTimeout(this.#leftoverTimer);
    this.#store.removeLeftovers();
  }

  removeLeftoversAfter(delayMs: number): void {
    this.#leftoverTimer = setTimeout(() => this.#attempt(() => this.#store.removeLeftovers()), delayMs).unref();
  }

  take(event: KernelEvent): void {
    this.#attempt(() => this.#take(event));
  }

  /** Nobody waits for the outcome: what the kernel refuses then ends the plane, and not the process. Null: it has. */
  #attempt<T>(work: () => T): T | null {
    try {
      return work();
    } catch (error) {
      this.#emit({ kind: "failed", reason: error instanceof Error ? error.message : String(error) });
      return null;
    }
  }

  #take(event: KernelEvent): void {
    switch (event.kind) {
      case "acquire":
        return this.#takeAcquire(event.policyIndex);
      case "expire":
        return this.#takeExpiry(event.sa, event.hard);
      case "mapping":
        return this.#takeMapping(event.spi, event.reqid, event.remote);
      case "lost":
        return this.#afterLoss();
      case "policyDeleted":
        return event.index === null ? this.#policiesMissing.ask() : this.#restorePolicies(event.index);
      case "interfaceGone":
        return this.#interfaces.restore();
    }
  }

  #restorePolicies(index: number | null): void {
    const count = this.#store.restore(index);
    if (count > 0)
      this.#emit({
        kind: "recovered",
        reason: `somebody deleted ${count === 1 ? "a policy of ours: it was" : `${count} policies of ours: they were`} put back`,
      });
  }

  #takeAcquire(index: number): void {
    const placed = this.#store.find(index);
    if (placed === null) return;
    const id = this.#outbound.discarding(placed);
    if (id === null) return this.#missSa(placed.template);
    if (this.#askAgain.has(id)) return;
    const askAgain = () => {
      this.#askAgain.delete(id);
      this.#outbound.askAgain(id);
    };
    this.#askAgain.set(id, setTimeout(() => this.#attempt(askAgain), ACQUIRE_AGAIN_MS).unref());
    this.#emit({ kind: "acquire", policyId: id });
  }

  /** The kernel asks for the SA of a policy that protects: somebody has deleted it. */
  #missSa(template: PolicyTemplate | null): void {
    const booked = template === null ? undefined : this.#sas.outbound.get(template.spi);
    if (booked === undefined || booked.told === "hard" || this.#kernel.querySa(saIdOf(booked.facts)) !== null) return;
    this.#tellOfLimit(booked, "hard");
  }

  #takeExpiry(report: SaReport, hard: boolean): void {
    for (const direction of ["inbound", "outbound"] as const) {
      const booked = this.#sas[direction].get(report.id.spi);
      if (booked === undefined || booked.reqid !== report.reqid) continue;
      booked.last = report;
      // It may have been found before it is read.
      if (booked.told === "hard" || (!hard && booked.told === "soft")) continue;
      this.#tellOfLimit(booked, hard ? "hard" : "soft");
    }
  }

  #takeMapping(spi: number, reqid: number, remote: UdpEndpoint): void {
    const booked = this.#sas.inbound.get(spi);
    if (booked === undefined || booked.reqid !== reqid) return;
    const { facts } = booked;
    if (facts.remote.address === remote.address && facts.remote.port === remote.port) return;
    this.updateSa("inbound", facts.spi, remote);
    this.#emit({ kind: "natMappingChanged", childSaId: facts.childSaId, spi: facts.spi, remote });
  }

  /** What was dropped may have been word of a limit, or of a packet that a policy discards. A mapping that has changed is told again by itself. */
  #afterLoss(): void {
    for (const direction of ["inbound", "outbound"] as const) {
      for (const booked of [...this.#sas[direction].values()]) {
        if (booked.told === "hard") continue;
        const report = this.#kernel.querySa(saIdOf(booked.facts));
        booked.last = report ?? booked.last;
        if (report === null) this.#tellOfLimit(booked, "hard");
        else if (booked.told === "nothing" && isPastSoftLimit(report, booked.facts)) this.#tellOfLimit(booked, "soft");
      }
    }
    this.#outbound.askAllAgain();
  }

  /** Hard: the kernel has it no more. */
  #tellOfLimit(booked: BookedSa, limit: "soft" | "hard"): void {
    booked.told = limit;
    this.#emit({ kind: "expire", childSaId: booked.facts.childSaId, spi: booked.facts.spi, hard: limit === "hard" });
  }

  /** Or nobody wants it any more, or knows that it is gone. */
  #isThere(booked: BookedSa): boolean {
    const { direction, spi } = booked.facts;
    if (booked.told === "hard" || this.#sas[direction].get(spi) !== booked) return true;
    const report = this.#kernel.querySa(saIdOf(booked.facts));
    booked.last = report ?? booked.last;
    return report !== null;
  }

  #isUsed(spi: number): boolean | null {
    const booked = this.#sas.inbound.get(spi);
    const report = booked === undefined ? null : this.#kernel.querySa(saIdOf(booked.facts));
    if (booked === undefined || report === null) return null;
    if (report.packets === 0) return false;
    this.#emit({ kind: "firstInboundPacket", childSaId: booked.facts.childSaId, spi: booked.facts.spi });
    return true;
  }
}
