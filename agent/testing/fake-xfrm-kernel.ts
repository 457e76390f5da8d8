import { EEXIST, KernelRefusal } from "../dataplane/xfrm/netlink-dialog.ts";
import { type KernelPolicy, PolicyDirection, type PolicyReport } from "../dataplane/xfrm/policy-messages.ts";
import { type KernelSa, saIdOf, type SaReport } from "../dataplane/xfrm/sa-messages.ts";
import type { XfrmDatabases } from "../dataplane/xfrm/xfrm-kernel.ts";
import { type SaId, selectorKey } from "../dataplane/xfrm/xfrm-structures.ts";

/** A SAD and an SPD that no packet meets: what others do to a kernel's, without one. */
export class FakeXfrmKernel implements XfrmDatabases {
  readonly sas = new Map<string, SaReport>();
  /** By packets and direction. */
  readonly policies = new Map<string, KernelPolicy>();
  /** What each order and question is answered with while it is set. */
  refusal: KernelRefusal | null = null;
  /** Its keys are not told: an SA cannot be made again elsewhere. */
  isLocked = false;

  addSa(sa: KernelSa): string | null {
    this.#obey();
    const counted = { bytes: 0, packets: 0, lastUsedAt: 0, replayed: 0, integrityFailed: 0, offloadDevice: 0 };
    const source = (sa.direction === "inbound" ? sa.remote : sa.local).address;
    this.sas.set(nameOf(saIdOf(sa)), { id: saIdOf(sa), source, reqid: sa.reqid, keys: "told", ...counted });
    return null;
  }

  deleteSa(id: SaId): boolean {
    this.#obey();
    return this.sas.delete(nameOf(id));
  }

  querySa(id: SaId): SaReport | null {
    this.#obey();
    return this.sas.get(nameOf(id)) ?? null;
  }

  /** In place only. */
  moveSa(id: SaId): boolean {
    this.#obey();
    return !this.isLocked && this.sas.has(nameOf(id));
  }

  dumpSas(): SaReport[] {
    this.#obey();
    return [...this.sas.values()];
  }

  addPolicy(policy: KernelPolicy): void {
    this.#obey();
    if (this.policies.has(placeOf(policy))) throw new KernelRefusal({ errno: EEXIST, text: null }, "the policy");
    this.policies.set(placeOf(policy), policy);
  }

  /** As the kernel does: whosesoever is there, and the new one has its index. */
  replacePolicy(policy: KernelPolicy): void {
    this.#obey();
    this.policies.set(placeOf(policy), { ...policy, index: this.policies.get(placeOf(policy))?.index ?? policy.index });
  }

  hasPolicy({ index }: PolicyReport): boolean {
    this.#obey();
    return [...this.policies.values()].some((policy) => policy.index === index);
  }

  deletePolicy({ index }: PolicyReport): boolean {
    this.#obey();
    const found = [...this.policies].find(([, policy]) => policy.index === index);
    return found !== undefined && this.policies.delete(found[0]);
  }

  dumpPolicies(): PolicyReport[] {
    this.#obey();
    return [...this.policies.values()];
  }

  close(): void {}

  #obey(): void {
    if (this.refusal !== null) throw this.refusal;
  }
}

export function placeOf({ direction, selector }: Pick<KernelPolicy, "direction" | "selector">): string {
  return `${PolicyDirection[direction]} ${selectorKey(selector)}`;
}

function nameOf({ destination, spi, protocol }: SaId): string {
  return `${destination} ${spi} ${protocol}`;
}
