import { afterAll, describe, expect, test } from "vitest";
import type { OutboundSa } from "../../ipsec/security-association.ts";
import { staticKeys, staticSpi } from "../../testing/static-keys.ts";
import { readU16, readU32 } from "../../wire/octets.ts";
import { AeadBatch } from "../ffi/aead-batch.ts";
import { Arena } from "../ffi/arena.ts";
import { libc } from "../ffi/native.ts";
import { openRawSockets, rawFds, type RawSockets } from "../ffi/raw-socket.ts";
import { openUdpSocket, setPacketOptions } from "../ffi/udp-socket.ts";
import { CounterTable } from "./counters.ts";
import { makeTransmitSa, moveTransmitSa } from "./outbound-sa.ts";
import { outerSockets } from "./outer-sockets.ts";
import { ReceiveBatch } from "./receive-batch.ts";
import { reserveInner, sealInner } from "./seal-packet.ts";
import { TransmitBatch } from "./transmit-batch.ts";

/* Over IPv6 loopback, where the kernel fragments nothing of this size: what goes in fragments was cut by us, and the kernel puts it together. */
const AF_INET6 = 10;
const SOCK_RAW_NONBLOCK = 3 | 0o4000;
const FRAGMENT = 44;
const PORT = 40_000 + (process.pid % 20_000);
const IPV6_HEADER = 40;
const MARKED = 0xbb;

const opened = openRawSockets();
const raw = typeof opened === "string" ? null : opened;
const udp = [0, 1, 2].map((number) => openUdpSocket(6, PORT + number, { single: true }));
const wire: number = raw === null ? -1 : libc.socket(AF_INET6, SOCK_RAW_NONBLOCK, FRAGMENT);
if (wire >= 0) setPacketOptions(wire, 6);

afterAll(() => {
  for (const fd of [...udp, ...(raw === null ? [] : [...rawFds(raw), wire])]) if (fd !== null) libc.close(fd);
});

const asRoot = (raw?.headedIpv6 ?? null) !== null && udp.every((fd) => fd !== null) ? test : test.skip;
const kinds = [
  { what: "ESP in UDP", kind: { encapsulation: "udp", protocol: "esp" }, suite: "aes128gcm16", native: true },
  { what: "ESP in UDP without the native function", kind: { encapsulation: "udp", protocol: "esp" }, suite: "chacha20poly1305", native: false },
  { what: "plain ESP", kind: { encapsulation: "none", protocol: "esp" }, suite: "aes256gcm16", native: true },
  { what: "AH", kind: { encapsulation: "none", protocol: "ah" }, suite: "ah-sha256", native: true },
] as const;

function saOf({ kind, suite }: (typeof kinds)[number]): OutboundSa {
  const spi = staticSpi("right", 0);
  const ends = { local: { address: "::1", port: PORT }, remote: { address: "::1", port: PORT + 1 } };
  return { childSaId: "c", direction: "outbound", spi, keys: staticKeys(suite, spi), extendedSequenceNumbers: true, mode: "tunnel", ...ends, ...kind };
}

/** Who sends under such an SA when the path takes `pathMtu` octets; all that has come to `fd` since it was last looked at, and all fragments. */
function sender(given: (typeof kinds)[number], pathMtu: number, sockets: RawSockets = raw!) {
  const arena = new Arena(16 << 20);
  const counters = CounterTable.ofRows(2);
  const sealing = given.native ? AeadBatch.create(arena, "seal", 64) : null;
  const batch = new TransmitBatch(arena, outerSockets([null, udp[0] ?? null], sockets), counters, sealing);
  const sa = makeTransmitSa({ arena, counters, batch: sealing, raw: sockets }, saOf(given), 1, pathMtu);
  const received = new ReceiveBatch(arena);
  const send = (sizes: readonly number[]) => {
    for (const octets of sizes) {
      const at = reserveInner(batch, sa, octets);
      for (let i = 0; i < octets; i++) arena.bytes[at + i] = (i * 7 + octets) & 0xff;
      arena.bytes[at] = 0x6b;
      arena.bytes[at + 1] = 0xb0;
      if (!sealInner(arena, batch, sa, at, octets, 6)) throw new Error("not sealed");
    }
    batch.flush();
    expect(counters.drops(1)).toMatchObject({ unsent: 0, tooBig: 0 });
  };
  const come = (fd: number) =>
    Array.from({ length: received.receive(fd) }, (_, index) => {
      received.readControl(index);
      const { segmentOctets, trafficClass } = received.control;
      expect(segmentOctets).toBe(0);
      expect(trafficClass).toBe(MARKED);
      return Buffer.from(arena.bytes.subarray(received.dataAt(index), received.dataAt(index) + received.octets(index)));
    });
  return { arena, sa, send, come };
}

function receiverOf({ kind }: (typeof kinds)[number]): number {
  return (kind.encapsulation === "udp" ? udp[1] : kind.protocol === "esp" ? raw!.esp[1] : raw!.ah[1]) ?? -1;
}

describe("packets that an IPv6 path does not take whole", () => {
  asRoot.each(kinds)("arrive as they would whole, between the others in their order, in fragments of at most 1,280 octets: $what", (given) => {
    const sizes = [1_280, 100, 1_217, 1_279, 60, 1_280, 4_000, 90];
    const whole = sender(given, 9_000);
    whole.send(sizes);
    const expected = whole.come(receiverOf(given));
    expect(expected).toHaveLength(sizes.length);
    expect(whole.come(wire)).toEqual([]);
    const cut = sender(given, 1_280);
    cut.send(sizes);
    expect(cut.come(receiverOf(given))).toEqual(expected);
    const fragments = cut.come(wire);
    for (const fragment of fragments) expect(IPV6_HEADER + fragment.length).toBeLessThanOrEqual(1_280);
    // Two of each that is too large, four of the largest, and those of one packet alone have the same number.
    const numbers = fragments.map((fragment) => readU32(fragment, 4));
    expect(numbers.map((number) => (number - numbers[0]! + 2 ** 32) % 2 ** 32)).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4]);
    expect(fragments.map((fragment) => (readU16(fragment, 2) & 1) === 1)).toEqual([
      true,
      false,
      true,
      false,
      true,
      false,
      true,
      false,
      true,
      true,
      true,
      false,
    ]);
  });

  asRoot("go where the peer is now", () => {
    const [given] = kinds;
    const { arena, sa, send, come } = sender(given, 1_280);
    moveTransmitSa(arena, sa, { address: "::1", port: PORT + 2 });
    send([1_280]);
    expect(come(udp[1]!)).toEqual([]);
    expect(come(udp[2]!)).toHaveLength(1);
    expect(come(wire)).toHaveLength(2);
  });

  asRoot("go whole where there is no socket for fragments", () => {
    const { send, come } = sender(kinds[0], 1_280, { ...raw!, headedIpv6: null });
    send([1_280, 100]);
    expect(come(udp[1]!)).toHaveLength(2);
    expect(come(wire)).toEqual([]);
  });
});
