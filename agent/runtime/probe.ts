import { closeIcmpSocket, openIcmpSocket, receiveIcmp, sendIcmp, waitReadable } from "../dataplane/ffi/icmp-socket.ts";
import type { ProbeResult } from "../../contract/hub-protocol.ts";
import { parseAddress } from "../wire/address.ts";
import { buildEcho } from "../wire/icmp.ts";

const ANSWER_TIMEOUT_MS = 1_000;
const WAIT_SLICE_MS = 100;
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;

interface Outstanding {
  readonly sentAt: number;
  readonly settle: (roundTripMs: number | null) => void;
}

interface ProbeSocket {
  readonly fd: number;
  readonly family: 4 | 6;
  /** By ICMP sequence number. */
  readonly outstanding: Map<number, Outstanding>;
  nextSequence: number;
}

/**
 * ICMP echoes between inside addresses (RFC 792, RFC 4443 §4). One raw socket for each source; sockets are watched only while
 * an answer is outstanding.
 */
export class Prober {
  readonly #identifier: number;
  readonly #sockets = new Map<string, ProbeSocket>();
  readonly #buffer = new Uint8Array(65_536);
  #isWatching = false;
  #isClosed = false;

  /** `identifier` (16 bits) tells our answers from those to other programs. */
  constructor(identifier: number) {
    this.#identifier = identifier;
  }

  /** The round trip in milliseconds, or null when no answer came within a second. Throws an Error when it cannot be sent at all. */
  async ping(source: string, target: string, payloadBytes = 56): Promise<number | null> {
    const from = parseAddress(source);
    const to = parseAddress(target);
    if (from === null || to === null || from.length !== to.length) throw new Error("the probe needs two addresses of the same family");
    const socket = this.#socketFor(source, from);
    const sequence = socket.nextSequence;
    socket.nextSequence = (sequence + 1) & 0xffff;
    const packet = buildEcho("request", from, to, { identifier: this.#identifier, sequence, data: new Uint8Array(payloadBytes) });
    const message = packet.subarray(socket.family === 4 ? IPV4_HEADER : IPV6_HEADER);
    const sentAt = performance.now();
    if (!sendIcmp(socket.fd, to, message)) return null;
    return new Promise((resolve) => {
      const settle = (roundTripMs: number | null) => {
        clearTimeout(timer);
        socket.outstanding.delete(sequence);
        resolve(roundTripMs);
      };
      const timer = setTimeout(() => settle(null), ANSWER_TIMEOUT_MS);
      socket.outstanding.set(sequence, { sentAt, settle });
      if (!this.#isWatching) void this.#watch();
    });
  }

  /** `count` echoes, `intervalMilliseconds` apart whether or not they are answered. */
  async series(
    source: string,
    target: string,
    options: { readonly count: number; readonly intervalMilliseconds: number; readonly payloadBytes: number },
  ): Promise<ProbeResult> {
    const startedAt = performance.now();
    const answers: Promise<number | null>[] = [];
    for (let index = 0; index < options.count; index++) {
      const wait = startedAt + index * options.intervalMilliseconds - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      answers.push(this.ping(source, target, options.payloadBytes));
    }
    const roundTrips = (await Promise.all(answers)).filter((answer) => answer !== null).toSorted((a, b) => a - b);
    return {
      sent: options.count,
      received: roundTrips.length,
      roundTripMsMedian: roundTrips[Math.floor(roundTrips.length / 2)] ?? null,
      roundTripMsMax: roundTrips.at(-1) ?? null,
    };
  }

  close(): void {
    this.#isClosed = true;
    for (const socket of this.#sockets.values()) for (const waiting of [...socket.outstanding.values()]) waiting.settle(null);
    if (!this.#isWatching) this.#closeSockets();
  }

  #socketFor(source: string, address: Uint8Array): ProbeSocket {
    const known = this.#sockets.get(source);
    if (known !== undefined) return known;
    const socket: ProbeSocket = { fd: openIcmpSocket(address), family: address.length === 4 ? 4 : 6, outstanding: new Map(), nextSequence: 1 };
    this.#sockets.set(source, socket);
    return socket;
  }

  async #watch(): Promise<void> {
    this.#isWatching = true;
    for (;;) {
      const active = [...this.#sockets.values()].filter((socket) => socket.outstanding.size > 0);
      if (active.length === 0 || this.#isClosed) break;
      await waitReadable(
        active.map((socket) => socket.fd),
        WAIT_SLICE_MS,
      );
      for (const socket of this.#sockets.values()) this.#receive(socket);
    }
    this.#isWatching = false;
    if (this.#isClosed) this.#closeSockets();
  }

  #receive(socket: ProbeSocket): void {
    for (let length = receiveIcmp(socket.fd, this.#buffer); length > 0; length = receiveIcmp(socket.fd, this.#buffer)) {
      const header = socket.family === 4 ? (this.#buffer[0]! & 0x0f) * 4 : 0;
      if (length < header + 8) continue;
      const view = new DataView(this.#buffer.buffer, header, 8);
      const isReply = view.getUint8(0) === (socket.family === 4 ? 0 : 129);
      if (!isReply || view.getUint16(4) !== this.#identifier) continue;
      const waiting = socket.outstanding.get(view.getUint16(6));
      waiting?.settle(performance.now() - waiting.sentAt);
    }
  }

  #closeSockets(): void {
    for (const socket of this.#sockets.values()) closeIcmpSocket(socket.fd);
    this.#sockets.clear();
  }
}
