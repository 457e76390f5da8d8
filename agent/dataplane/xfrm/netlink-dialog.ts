import { NetlinkOpenError, NetlinkPort, openNetlink } from "../ffi/netlink-socket.ts";
import { type Attribute, decodeError, decodeMessages, encodeMessage, NetlinkFlag, NetlinkType } from "./netlink.ts";

export const ENOENT = 2;
export const ESRCH = 3;
export const EEXIST = 17;
export const ENODEV = 19;
const EPERM = 1;
const ENOSYS = 38;
const EPROTONOSUPPORT = 93;
const EOPNOTSUPP = 95;

export interface Body {
  readonly fixed: Uint8Array;
  readonly attributes: readonly Attribute[];
}

/** What became of a request: errno 0 when it was carried out; the kernel's own sentence where it gives one. */
export interface Outcome {
  readonly errno: number;
  readonly text: string | null;
}

/** The kernel did not do what it was asked to; `message` is a sentence. */
export class KernelRefusal extends Error {
  readonly errno: number;

  constructor({ errno, text }: Outcome, what: string) {
    super(`the kernel refused ${what}: ${text ?? reasons[errno] ?? `errno ${errno}`}`);
    this.errno = errno;
  }
}

const reasons: Readonly<Record<number, string>> = {
  [EPERM]: "the gateway needs the capability NET_ADMIN",
  [EEXIST]: "another one is there already",
  [ENOSYS]: "it has no such algorithm",
  [EPROTONOSUPPORT]: "it has no such protocol",
  [EOPNOTSUPP]: "it has no such thing",
  [ENOENT]: "there is none",
  22: "it takes this for invalid",
};

/** Requests to one part of the kernel, each answered when the call returns: that takes a few microseconds. */
export class NetlinkDialog {
  readonly #port: NetlinkPort;
  #sequence = 0;

  private constructor(port: NetlinkPort) {
    this.#port = port;
  }

  /** Null when the kernel has no such protocol. @throws Error with a sentence when there is no socket to be had. */
  static open(protocol: number): NetlinkDialog | null {
    try {
      return new NetlinkDialog(new NetlinkPort(openNetlink(protocol)));
    } catch (error) {
      if (error instanceof NetlinkOpenError && error.errno === EPROTONOSUPPORT) return null;
      throw error;
    }
  }

  /** `flags` beside those of a request that is answered. */
  order(type: number, { fixed, attributes }: Body, flags = 0): Outcome {
    const message = encodeMessage(type, NetlinkFlag.REQUEST | NetlinkFlag.ACK | flags, ++this.#sequence, fixed, attributes);
    this.#port.send(message);
    message.fill(0);
    let outcome: Outcome | null = null;
    while (outcome === null) {
      for (const answer of this.#receive()) if (answer.type === NetlinkType.ERROR && answer.sequence === this.#sequence) outcome = decodeError(answer);
    }
    this.#port.forget();
    return outcome;
  }

  /** What the one answer of type `answerType` says; null when there is none. `read` gets octets that are zeroed when it returns. */
  ask<T>(type: number, answerType: number, { fixed, attributes }: Body, read: (payload: Uint8Array) => T): T | null {
    this.#port.send(encodeMessage(type, NetlinkFlag.REQUEST, ++this.#sequence, fixed, attributes));
    for (;;) {
      for (const answer of this.#receive()) {
        if (answer.sequence !== this.#sequence) continue;
        const found = answer.type === answerType ? read(answer.payload) : null;
        this.#port.forget();
        return found;
      }
    }
  }

  /** Every object of a kind, without those that `read` has null for. @throws KernelRefusal. */
  dump<T>(type: number, fixed: Uint8Array, read: (payload: Uint8Array) => T | null): T[] {
    this.#port.send(encodeMessage(type, NetlinkFlag.REQUEST | NetlinkFlag.DUMP, ++this.#sequence, fixed));
    const found: T[] = [];
    for (;;) {
      for (const answer of this.#receive()) {
        if (answer.sequence !== this.#sequence) continue;
        if (answer.type === NetlinkType.DONE || answer.type === NetlinkType.ERROR) {
          this.#port.forget();
          const outcome = decodeError(answer);
          if (answer.type === NetlinkType.ERROR && outcome.errno !== 0) throw new KernelRefusal(outcome, "to list what it has");
          return found;
        }
        const one = read(answer.payload);
        if (one !== null) found.push(one);
      }
    }
  }

  close(): void {
    this.#port.close();
  }

  #receive() {
    const datagram = this.#port.receive();
    if (typeof datagram === "string") throw new Error("the kernel gave no answer to a netlink request");
    return decodeMessages(datagram);
  }
}
