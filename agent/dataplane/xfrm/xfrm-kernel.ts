import { NETLINK_XFRM, NetlinkOpenError, NetlinkPort, openNetlink } from "../ffi/netlink-socket.ts";
import { type Attribute, decodeError, decodeMessages, encodeMessage, NetlinkFlag, NetlinkType } from "./netlink.ts";
import { decodePolicy, encodePolicy, encodePolicyId, type KernelPolicy, type PolicyReport } from "./policy-messages.ts";
import { decodeSa, encodeSa, encodeSaId, type KernelSa, moveSa, type NewPlace, type SaReport } from "./sa-messages.ts";
import { type SaId, XfrmMessage } from "./xfrm-structures.ts";

const ENOENT = 2;
const ESRCH = 3;
export const EEXIST = 17;
const EPERM = 1;
const ENOSYS = 38;
const EPROTONOSUPPORT = 93;

interface Body {
  readonly fixed: Uint8Array;
  readonly attributes: readonly Attribute[];
}

/** The kernel did not do what it was asked to; `message` is a sentence. */
export class KernelRefusal extends Error {
  readonly errno: number;

  constructor(errno: number, what: string, text: string | null) {
    super(`the kernel refused ${what}: ${text ?? reasons[errno] ?? `errno ${errno}`}`);
    this.errno = errno;
  }
}

const reasons: Readonly<Record<number, string>> = {
  [EPERM]: "the gateway needs the capability NET_ADMIN",
  [EEXIST]: "another one is there already",
  [ENOSYS]: "it has no such algorithm",
  [EPROTONOSUPPORT]: "it has no such protocol",
  [ENOENT]: "there is none",
  22: "it takes this for invalid",
};

/** The kernel's SAD and SPD through NETLINK_XFRM. Each call is carried out when it returns: an answer takes a few microseconds. */
export class XfrmKernel {
  readonly #port: NetlinkPort;
  #sequence = 0;

  private constructor(port: NetlinkPort) {
    this.#port = port;
  }

  /** @throws Error with a sentence when the kernel has no XFRM. */
  static open(): XfrmKernel {
    try {
      return new XfrmKernel(new NetlinkPort(openNetlink(NETLINK_XFRM)));
    } catch (error) {
      if (error instanceof NetlinkOpenError && error.errno === EPROTONOSUPPORT) throw new Error("the kernel has no XFRM");
      throw error;
    }
  }

  /** @throws KernelRefusal, or Error for a suite that no kernel has. */
  addSa(sa: KernelSa): void {
    this.#putSa(XfrmMessage.NEWSA, encodeSa(sa), "the SA");
  }

  /** False when there was none. */
  deleteSa(id: SaId): boolean {
    return this.#done(XfrmMessage.DELSA, encodeSaId(id), "to delete the SA");
  }

  /** Null when there is none: what holds the place of one that the kernel waits for is none. */
  querySa(id: SaId): SaReport | null {
    const report = this.#getSa(id, decodeSa);
    return report?.hasKeys === true ? report : null;
  }

  /**
   * Moves an SA with all that it has counted. A new port is a change in place; a new address of the peer is another SA to the kernel: the old one is
   * gone before the new one sends, so no sequence number is used twice. False: the SA is gone, or `skip` numbers are not left.
   */
  moveSa(id: SaId, place: NewPlace): boolean {
    const moved = this.#getSa(id, (report) => {
      if (decodeSa(report)?.hasKeys !== true) return null;
      const isInPlace = place.direction === "inbound" || place.remote.address === id.destination;
      return { isInPlace, body: moveSa(report, isInPlace ? { ...place, skip: 0 } : place) };
    });
    if (moved === null || moved.body === null) return false;
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

  /** False when there was none. */
  deletePolicy(policy: Pick<KernelPolicy, "selector" | "direction">): boolean {
    return this.#done(XfrmMessage.DELPOLICY, encodePolicyId(policy), "to delete the policy");
  }

  dumpSas(): SaReport[] {
    return this.#dump(XfrmMessage.GETSA, decodeSa);
  }

  dumpPolicies(): PolicyReport[] {
    return this.#dump(XfrmMessage.GETPOLICY, decodePolicy);
  }

  close(): void {
    this.#port.close();
  }

  #putSa(type: number, body: Body, what: string): void {
    try {
      this.#mustDo(type, body, what);
    } finally {
      for (const { value } of body.attributes) value.fill(0);
    }
  }

  #putPolicy(type: number, policy: KernelPolicy): void {
    this.#mustDo(type, encodePolicy(policy), "the policy");
  }

  #mustDo(type: number, body: Body, what: string): void {
    const { errno, text } = this.#order(type, body);
    if (errno !== 0) throw new KernelRefusal(errno, what, text);
  }

  #done(type: number, fixed: Uint8Array, what: string): boolean {
    const { errno, text } = this.#order(type, { fixed, attributes: [] });
    if (errno !== 0 && errno !== ESRCH && errno !== ENOENT) throw new KernelRefusal(errno, what, text);
    return errno === 0;
  }

  #order(type: number, { fixed, attributes }: Body): { errno: number; text: string | null } {
    const message = encodeMessage(type, NetlinkFlag.REQUEST | NetlinkFlag.ACK, ++this.#sequence, fixed, attributes);
    this.#port.send(message);
    message.fill(0);
    let outcome: { errno: number; text: string | null } | null = null;
    while (outcome === null) {
      for (const answer of this.#receive()) if (answer.type === NetlinkType.ERROR && answer.sequence === this.#sequence) outcome = decodeError(answer);
    }
    this.#port.forget();
    return outcome;
  }

  #getSa<T>(id: SaId, read: (payload: Uint8Array) => T): T | null {
    this.#port.send(encodeMessage(XfrmMessage.GETSA, NetlinkFlag.REQUEST, ++this.#sequence, encodeSaId(id)));
    for (;;) {
      for (const answer of this.#receive()) {
        if (answer.sequence !== this.#sequence) continue;
        const found = answer.type === XfrmMessage.NEWSA ? read(answer.payload) : null;
        this.#port.forget();
        return found;
      }
    }
  }

  #dump<T>(type: number, read: (payload: Uint8Array) => T | null): T[] {
    this.#port.send(encodeMessage(type, NetlinkFlag.REQUEST | NetlinkFlag.DUMP, ++this.#sequence, new Uint8Array(0)));
    const found: T[] = [];
    for (;;) {
      for (const answer of this.#receive()) {
        if (answer.sequence !== this.#sequence) continue;
        if (answer.type === NetlinkType.DONE || answer.type === NetlinkType.ERROR) {
          this.#port.forget();
          const { errno, text } = decodeError(answer);
          if (answer.type === NetlinkType.ERROR && errno !== 0) throw new KernelRefusal(errno, "to list what it has", text);
          return found;
        }
        const one = read(answer.payload);
        if (one !== null) found.push(one);
      }
    }
  }

  #receive() {
    const datagram = this.#port.receive();
    if (typeof datagram === "string") throw new Error("the kernel gave no answer to a netlink request");
    return decodeMessages(datagram);
  }
}
