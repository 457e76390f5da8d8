import type { DesiredLink, DesiredState } from "../../contract/desired-state.ts";
import type { LinkVerdict } from "../../contract/hub-protocol.ts";
import type { DataPlaneCapabilities } from "../dataplane/data-plane.ts";
import type { Input, LinkConfig } from "../ike/endpoint-types.ts";
import { parseAddress } from "../wire/address.ts";
import { formatPath } from "./config-problem.ts";
import { beyondPlane, comparableForm, forcesEncapsulation, steeredByRoutes, toLinkConfig } from "./link-config.ts";
import type { PeerName } from "./peer-addresses.ts";
import { checkState } from "./state-checks.ts";

export interface ReconcilerParts {
  /** Gives an input to the engine; resolves once its effects are carried out. */
  readonly submit: (input: Input) => Promise<void>;
  /** What is known of a host name now: it is looked up elsewhere, since that may take long. */
  readonly peerName: (name: string) => PeerName;
  readonly plane: DataPlaneCapabilities;
}

interface RunningLink {
  readonly desired: DesiredLink;
  readonly config: LinkConfig;
  readonly comparable: string;
}

/** A link that is wanted and cannot run: why, in a sentence. */
export interface HeldLink {
  readonly desired: DesiredLink;
  readonly reason: string;
  /** One that is refused stays so until another version of it comes; the others run as soon as their peer's name is known. */
  readonly why: "refused" | "unresolved" | "notLookedUp";
}

/**
 * Brings the engine from what it runs to what is wanted. Only links whose engine configuration differs are touched: a new name,
 * another probe or an unchanged link costs no packet. A link that is refused keeps running as it was before.
 */
export class Reconciler {
  readonly #parts: ReconcilerParts;
  readonly #running = new Map<string, RunningLink>();
  /** By link, for as long as it is there: counted on, so that what is left of one link never meets another's. */
  readonly #interfaces = new Map<string, number>();
  #lastInterface = 0;
  #steered: ReadonlySet<string> = new Set();
  #held = new Map<string, HeldLink>();
  #disabled = new Map<string, DesiredLink>();

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
  }

  get running(): ReadonlyMap<string, RunningLink> {
    return this.#running;
  }

  get held(): ReadonlyMap<string, HeldLink> {
    return this.#held;
  }

  get disabled(): ReadonlyMap<string, DesiredLink> {
    return this.#disabled;
  }

  /** Whether a link is held for a name that nobody has looked up yet. */
  get awaitsNames(): boolean {
    return [...this.#held.values()].some(({ why }) => why === "notLookedUp");
  }

  /** One verdict a link, in the order of the state; that of a link held for its name may change (`verdictOf`). Never rejects for a fault of the state. */
  async apply(state: DesiredState): Promise<LinkVerdict[]> {
    const refusals = refusalsByLink(state);
    const wanted = new Set(state.links.filter((link) => link.enabled).map((link) => link.id));
    if (this.#parts.plane.interfacePrefix !== undefined) this.#steered = steeredByRoutes(state.links);
    for (const id of [...this.#running.keys()]) if (!wanted.has(id)) await this.#remove(id);
    this.#held = new Map();
    this.#disabled = new Map(state.links.filter((link) => !link.enabled).map((link) => [link.id, link]));
    const verdicts: LinkVerdict[] = [];
    for (const [index, link] of state.links.entries()) {
      const refusal = refusals.get(index);
      const held = refusal !== undefined ? refused(link, refusal) : link.enabled ? await this.#set(link, "kept") : null;
      if (held !== null && link.enabled) this.#held.set(link.id, held);
      verdicts.push({ linkId: link.id, outcome: held === null ? "applied" : "refused", reason: held?.reason ?? null });
    }
    return verdicts;
  }

  /** What has become of a link of the state since; null: as `apply` said. */
  verdictOf(link: DesiredLink): LinkVerdict | null {
    const held = this.#held.get(link.id);
    if (held?.desired === link) return { linkId: link.id, outcome: "refused", reason: held.reason };
    return this.#running.get(link.id)?.desired === link ? { linkId: link.id, outcome: "applied", reason: null } : null;
  }

  /**
   * The host names to look up: those of links that are held for them always, those of running links only where `isIdle` says that nothing is up,
   * since a tunnel that works must not follow a name.
   */
  namesToFollow(isIdle: (linkId: string) => boolean): Set<string> {
    const held = [...this.#held.values()].filter(({ why }) => why !== "refused");
    const idle = [...this.#running.values()].filter(({ desired }) => isIdle(desired.id));
    return new Set([...held, ...idle].map(({ desired }) => desired.remote.address).filter(isHostName));
  }

  /** Gives these links what is known of their names by now. A link that is refused stays so, and its former version follows its name. Returns the links that changed. */
  async refreshAddresses(isIdle: (linkId: string) => boolean): Promise<string[]> {
    const changed: string[] = [];
    for (const { desired, why } of [...this.#held.values()]) {
      if (why === "refused") continue;
      const held = await this.#set(desired, "newest");
      if (held !== null) {
        this.#held.set(desired.id, held);
        continue;
      }
      this.#held.delete(desired.id);
      changed.push(desired.id);
    }
    for (const { desired, comparable } of [...this.#running.values()]) {
      if (!isHostName(desired.remote.address) || changed.includes(desired.id) || !isIdle(desired.id)) continue;
      await this.#set(desired, "newest");
      if (this.#running.get(desired.id)?.comparable !== comparable) changed.push(desired.id);
    }
    return changed;
  }

  /** Null when applied, else what it is held for. */
  async #set(link: DesiredLink, which: "kept" | "newest"): Promise<HeldLink | null> {
    const { plane } = this.#parts;
    const beyond = beyondPlane(link, plane);
    if (beyond !== null) return refused(link, beyond);
    const addresses = this.#addressesOf(link, which);
    if ("why" in addresses) return addresses;
    const before = this.#running.get(link.id);
    const workers = Math.max(plane.outboundWorkers ?? 1, plane.inboundWorkers ?? 1);
    const config = {
      ...toLinkConfig(link, addresses, forcesEncapsulation(link, plane), workers),
      ...(this.#steered.has(link.id) ? { interfaceNumber: this.#interfaceFor(link.id) } : {}),
    };
    const comparable = comparableForm(config);
    this.#running.set(link.id, { desired: link, config, comparable });
    if (before?.comparable !== comparable) await this.#parts.submit({ kind: "setLink", link: config });
    return null;
  }

  async #remove(linkId: string): Promise<void> {
    this.#running.delete(linkId);
    this.#interfaces.delete(linkId);
    await this.#parts.submit({ kind: "removeLink", linkId });
  }

  #interfaceFor(linkId: string): number {
    const number = this.#interfaces.get(linkId) ?? ++this.#lastInterface;
    this.#interfaces.set(linkId, number);
    return number;
  }

  /** `kept`: those that the link has stay with it for as long as the name is the same. */
  #addressesOf(link: DesiredLink, which: "kept" | "newest"): readonly string[] | HeldLink {
    const { address } = link.remote;
    if (!isHostName(address)) return address === undefined ? [] : [address];
    const before = this.#running.get(link.id);
    const name = this.#parts.peerName(address);
    if (before?.desired.remote.address === address && (which === "kept" || name.kind !== "known")) return before.config.remoteAddresses;
    switch (name.kind) {
      case "known":
        return name.addresses;
      case "unresolved":
        return { desired: link, reason: `${address} does not resolve (${name.reason}); it is tried again every few seconds`, why: name.kind };
      case "notLookedUp":
        return { desired: link, reason: `${address} is being looked up`, why: name.kind };
      default:
        return assertNever(name);
    }
  }
}

function refused(desired: DesiredLink, reason: string): HeldLink {
  return { desired, reason, why: "refused" };
}

function isHostName(address: string | undefined): address is string {
  return address !== undefined && parseAddress(address) === null;
}

/** The first error of each link, by its index. */
function refusalsByLink(state: DesiredState): Map<number, string> {
  const refusals = new Map<number, string>();
  for (const problem of checkState(state)) {
    const index = problem.path[0] === "links" ? problem.path[1] : undefined;
    if (problem.severity !== "error" || typeof index !== "number" || refusals.has(index)) continue;
    refusals.set(index, `${formatPath(problem.path.slice(2))}: ${problem.reason}; ${problem.advice}`);
  }
  return refusals;
}

function assertNever(value: never): never {
  throw new Error(`Unexpected ${JSON.stringify(value)}`);
}
