import { NETLINK_XFRM } from "../ffi/netlink-socket.ts";
import { type Body, ENOENT, ESRCH, KernelRefusal, NetlinkDialog } from "./netlink-dialog.ts";
import { decodePolicy, encodePolicy, encodePolicyId, type KernelPolicy, type PolicyReport } from "./policy-messages.ts";
import { decodeSa, encodeSa, encodeSaId, type KernelSa, moveSa, type NewPlace, type SaReport } from "./sa-messages.ts";
import { type SaId, XfrmAttribute, XfrmMessage } from "./xfrm-structures.ts";

/** What is asked of the kernel: tests have one that is none. */
export type XfrmDatabases = Pick<XfrmKernel, keyof XfrmKernel>;

/** The kernel's SAD and SPD through NETLINK_XFRM. Each call is carried out when it returns: an answer takes a few microseconds. */
export class XfrmKernel {
  readonly #dialog: NetlinkDialog;

  private constructor(dialog: NetlinkDialog) {
    this.#dialog = dialog;
  }

  /** @throws Error with a sentence when the kernel has no XFRM. */
  static open(): XfrmKernel {
    const kernel = XfrmKernel.openIfThere();
    if (kernel === null) throw new Error("the kernel has no XFRM");
    return kernel;
  }

  /** Null when the kernel has no XFRM. @throws Error with a sentence when there is no socket to be had. */
  static openIfThere(): XfrmKernel | null {
    const dialog = NetlinkDialog.open(NETLINK_XFRM);
    return dialog === null ? null : new XfrmKernel(dialog);
  }

  /** @returns why an SA that was to be a network card's is the kernel's own; null: nothing was refused. @throws KernelRefusal, or Error for a suite that no kernel has. */
  addSa(sa: KernelSa): string | null {
    return this.#putSa(XfrmMessage.NEWSA, encodeSa(sa), "the SA");
  }

  /** False when there was none. */
  deleteSa(id: SaId): boolean {
    return this.#done(XfrmMessage.DELSA, named(id), "to delete the SA");
  }

  /** Null when there is none: what holds the place of one that the kernel waits for is none. */
  querySa(id: SaId): SaReport | null {
    const report = this.#dialog.ask(XfrmMessage.GETSA, XfrmMessage.NEWSA, named(id), decodeSa);
    return report === null || report.keys === "none" ? null : report;
  }

  /**
   * Moves an SA with all that it has counted. A new port is a change in place; a new address of the peer is another SA to the kernel: the old one is
   * gone before the new one sends, so no sequence number is used twice. False: the SA is gone, `skip` numbers are not left, or the kernel does not tell the keys that another SA needs.
   */
  moveSa(id: SaId, place: NewPlace): boolean {
    const moved = this.#dialog.ask(XfrmMessage.GETSA, XfrmMessage.NEWSA, named(id), (report) => movedFrom(report, id, place));
    if (moved === null) return false;
    if (moved.isInPlace) {
      this.#putSa(XfrmMessage.UPDSA, moved.body, "the SA's new port");
      return true;
    }
    if (!this.deleteSa(id)) return false;
    this.#putSa(XfrmMessage.NEWSA, moved.body, "the SA's new address");
    return true;
  }

  /** @throws KernelRefusal, with EEXIST when there is one for these packets. */
  addPolicy(policy: KernelPolicy): void {
    this.#putPolicy(XfrmMessage.NEWPOLICY, policy);
  }

  /** In place of the one for these packets, in one step. */
  replacePolicy(policy: KernelPolicy): void {
    this.#putPolicy(XfrmMessage.UPDPOLICY, policy);
  }

  /** Whether the one with this index is there. */
  hasPolicy(policy: PolicyReport): boolean {
    return this.#dialog.ask(XfrmMessage.GETPOLICY, XfrmMessage.NEWPOLICY, encodePolicyId(policy, policy.index), decodePolicy) !== null;
  }

  /** By its index: another program may have put its own in the place. False when there was none. */
  deletePolicy(policy: PolicyReport): boolean {
    return this.#done(XfrmMessage.DELPOLICY, encodePolicyId(policy, policy.index), "to delete the policy");
  }

  dumpSas(): SaReport[] {
    return this.#dialog.dump(XfrmMessage.GETSA, nothing, decodeSa);
  }

  dumpPolicies(): PolicyReport[] {
    return this.#dialog.dump(XfrmMessage.GETPOLICY, nothing, decodePolicy);
  }

  close(): void {
    this.#dialog.close();
  }

  /** What is refused with a network card may be taken without one: how and why a driver refuses is its own matter. */
  #putSa(type: number, body: Body, what: string): string | null {
    try {
      const outcome = this.#dialog.order(type, body);
      if (outcome.errno === 0) return null;
      const attributes = body.attributes.filter((attribute) => attribute.type !== XfrmAttribute.OFFLOAD_DEV);
      const refusal = new KernelRefusal(outcome, what);
      if (attributes.length === body.attributes.length) throw refusal;
      this.#mustDo(type, { fixed: body.fixed, attributes }, what);
      return refusal.message;
    } finally {
      for (const { value } of body.attributes) value.fill(0);
    }
  }

  #putPolicy(type: number, policy: KernelPolicy): void {
    this.#mustDo(type, encodePolicy(policy), "the policy");
  }

  #mustDo(type: number, body: Body, what: string): void {
    const outcome = this.#dialog.order(type, body);
    if (outcome.errno !== 0) throw new KernelRefusal(outcome, what);
  }

  #done(type: number, body: Body, what: string): boolean {
    const outcome = this.#dialog.order(type, body);
    if (outcome.errno !== 0 && outcome.errno !== ESRCH && outcome.errno !== ENOENT) throw new KernelRefusal(outcome, what);
    return outcome.errno === 0;
  }
}

/** What makes of an SA, by its report, the one at its new place; null when nothing can. In place the kernel looks at no key. */
export function movedFrom(report: Uint8Array, id: SaId, place: NewPlace): { readonly isInPlace: boolean; readonly body: Body } | null {
  const keys = decodeSa(report)?.keys ?? "none";
  const isInPlace = place.direction === "inbound" || place.remote.address === id.destination;
  if (keys === "none" || (keys === "withheld" && !isInPlace)) return null;
  const body = moveSa(report, isInPlace ? { ...place, skip: 0 } : place);
  return body === null ? null : { isInPlace, body };
}

const nothing = new Uint8Array(0);

function named(id: SaId): Body {
  return { fixed: encodeSaId(id), attributes: [] };
}
