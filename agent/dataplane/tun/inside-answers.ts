import { buildPacketTooBig, buildUnreachable } from "../../wire/icmp.ts";
import type { IpPacketView } from "../../wire/ip.ts";
import type { Arena } from "../ffi/arena.ts";
import { libc } from "../ffi/native.ts";
import { VNET_HEADER_OCTETS } from "../ffi/tun-device.ts";
import { Allowance } from "./allowance.ts";

/** RFC 4443 §2.4(f): errors are limited in rate. Those about size by themselves, and less: each flow needs one, and sends nothing too large after it. */
const UNREACHABLES_A_SECOND = 50;
const TOO_BIGS_A_SECOND = 500;
const LARGEST_ANSWER = 2_048;

/** ICMP back to the inside, from the address that the packet was going to: the gateway has none that fits better. */
export class InsideAnswers {
  readonly #arena: Arena;
  readonly #fd: number;
  readonly #at: number;
  readonly #unreachables = new Allowance(UNREACHABLES_A_SECOND);
  readonly #tooBigs = new Allowance(TOO_BIGS_A_SECOND);

  constructor(arena: Arena, tunFd: number) {
    this.#arena = arena;
    this.#fd = tunFd;
    this.#at = arena.allocate(LARGEST_ANSWER);
  }

  /** The packet at `start` must have at most `mtu` octets (RFC 1191, RFC 8201). */
  tooBig(view: IpPacketView, start: number, mtu: number, now: number): void {
    if (!this.#tooBigs.allows(now)) return;
    this.#send(buildPacketTooBig(this.#arena.bytes, start, start + view.totalLength, this.#destination(view), mtu));
  }

  /** The packet at `start` is not let through, or there is no tunnel for it (RFC 4301 §5.1.1). */
  unreachable(view: IpPacketView, start: number, why: "prohibited" | "noPeer", now: number): void {
    if (!this.#unreachables.allows(now)) return;
    this.#send(buildUnreachable(this.#arena.bytes, start, start + view.totalLength, this.#destination(view), why));
  }

  #destination(view: IpPacketView): Uint8Array {
    return this.#arena.bytes.slice(view.destinationOffset, view.destinationOffset + (view.family === 4 ? 4 : 16));
  }

  #send(packet: Uint8Array | null): void {
    if (packet === null) return;
    const { bytes, address } = this.#arena;
    bytes.fill(0, this.#at, this.#at + VNET_HEADER_OCTETS);
    bytes.set(packet, this.#at + VNET_HEADER_OCTETS);
    libc.write(this.#fd, address + this.#at, VNET_HEADER_OCTETS + packet.length);
  }
}
