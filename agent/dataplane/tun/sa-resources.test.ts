import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { InboundSa, OutboundSa } from "../../ipsec/security-association.ts";
import { partsIn, usualSa } from "../../testing/sa-parts.ts";
import { Encr, Integ } from "../../wire/iana.ts";
import { Arena } from "../ffi/arena.ts";
import { crypto } from "../ffi/native.ts";
import { CounterTable } from "./counters.ts";
import { closeReceiveSa, makeReceiveSa } from "./inbound-sa.ts";
import { closeTransmitSa, makeTransmitSa } from "./outbound-sa.ts";
import { reserveInner, sealInner } from "./seal-packet.ts";
import { TransmitBatch } from "./transmit-batch.ts";

const outbound: OutboundSa = { ...usualSa, direction: "outbound" };
const inbound: InboundSa = { ...usualSa, direction: "inbound", replayWindowPackets: 64, localSelectors: [], remoteSelectors: [] };
const cbc = {
  encr: Encr.AES_CBC,
  encryptionKey: new Uint8Array(32),
  salt: new Uint8Array(0),
  integ: Integ.HMAC_SHA2_256_128,
  integrityKey: new Uint8Array(32),
};

afterEach(() => void vi.restoreAllMocks());

/** What is taken from OpenSSL and the arena, and not given back, while `during` runs. */
function heldAfter(arena: Arena, during: () => void): { contexts: number; memory: number } {
  const taken = [vi.spyOn(crypto, "cipherContextNew"), vi.spyOn(crypto, "macContextNew")];
  const returned = [vi.spyOn(crypto, "cipherContextFree"), vi.spyOn(crypto, "macContextFree")];
  const allocated = vi.spyOn(arena, "allocate");
  const freed = vi.spyOn(arena, "free");
  during();
  const calls = (spies: readonly { mock: { calls: unknown[][] } }[]) => spies.reduce((sum, { mock }) => sum + mock.calls.length, 0);
  const givenBack = returned.flatMap(({ mock }) => mock.calls).filter(([context]) => context !== 0).length;
  const held = { contexts: calls(taken) - givenBack, memory: calls([allocated]) - calls([freed]) };
  vi.restoreAllMocks();
  return held;
}

describe("an SA in its worker", () => {
  const arena = new Arena(1 << 20);
  const parts = partsIn(arena);
  const none = { contexts: 0, memory: 0 };
  const nowhere = { address: "192.0.2.300", port: 4_500 };

  it.each([
    ["the peer's address is malformed", () => makeTransmitSa(parts, { ...outbound, remote: nowhere }, 1, 1_500)],
    ["our address is malformed", () => makeTransmitSa(parts, { ...outbound, local: nowhere }, 1, 1_500)],
    ["the peer's address of an inbound one is malformed", () => makeReceiveSa(parts, { ...inbound, remote: nowhere }, 1, 1_500)],
    ["its window is too small", () => makeReceiveSa(parts, { ...inbound, replayWindowPackets: 63 }, 1, 1_500)],
    ["its window is too large", () => makeReceiveSa(parts, { ...inbound, replayWindowPackets: 4_097 }, 1, 1_500)],
    ["OpenSSL does not have its cipher", () => withBroken("cipherByName", 0, () => makeTransmitSa(parts, { ...outbound, keys: cbc }, 1, 1_500))],
    ["OpenSSL refuses its integrity key", () => withBroken("macInit", 0, () => makeTransmitSa(parts, { ...outbound, keys: cbc }, 1, 1_500))],
  ])("holds neither memory nor an OpenSSL context when %s", (_name, make) => {
    expect(heldAfter(arena, () => expect(make).toThrow())).toEqual(none);
  });

  it("gives everything back when it is closed", () => {
    for (const keys of [usualSa.keys, cbc]) {
      expect(heldAfter(arena, () => closeTransmitSa(arena, makeTransmitSa(parts, { ...outbound, keys }, 1, 1_500)))).toEqual(none);
      expect(heldAfter(arena, () => closeReceiveSa(arena, makeReceiveSa(parts, { ...inbound, keys }, 1, 1_500)))).toEqual(none);
    }
  });
});

describe("what the main thread has sent for an SA", () => {
  const arena = new Arena(1 << 20);
  const raw = { esp: [5, 6], ah: [7, 8], headedIpv6: 9 } as const;
  const ah = { encapsulation: "none", protocol: "ah", keys: { ...cbc, encr: Encr.NULL, encryptionKey: new Uint8Array(0) } } as const;
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;

  it.each([
    ["ESP", {}],
    ["AH", ah],
  ])("is not kept alive by the SA that was made of it, neither its keys nor the rest (%s)", async (_name, kind) => {
    const keys = { ...usualSa.keys, ...("keys" in kind ? kind.keys : {}) };
    const sent = { outbound: { ...outbound, ...kind, keys: { ...keys } }, inbound: { ...inbound, ...kind, keys: { ...keys } } };
    const traces = [sent.outbound, sent.outbound.keys, sent.inbound, sent.inbound.keys].map((object) => new WeakRef<object>(object));
    const parts = partsIn(arena, { raw });
    const made = [makeTransmitSa(parts, sent.outbound, 1, 1_500), makeReceiveSa(parts, sent.inbound, 1, 1_500)];
    Object.assign(sent, { outbound: null, inbound: null });
    // What a WeakRef was made of stays until the end of the task.
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    expect(traces.map((trace) => trace.deref())).toEqual(traces.map(() => undefined));
    expect(made.map(({ spi }) => spi)).toEqual([usualSa.spi, usualSa.spi]);
  });
});

describe("an SA that does not go in UDP", () => {
  const arena = new Arena(1 << 20);
  const raw = { esp: [5, 6], ah: [7, 8], headedIpv6: 9 } as const;
  const parts = partsIn(arena, { raw });
  const keys = { ...cbc, encr: Encr.NULL, encryptionKey: new Uint8Array(0) };
  const plain = { encapsulation: "none" } as const;
  const ah = { ...plain, protocol: "ah", keys } as const;

  it("gives everything back when it is closed", () => {
    for (const kind of [plain, ah]) {
      const none = { contexts: 0, memory: 0 };
      expect(heldAfter(arena, () => closeTransmitSa(arena, makeTransmitSa(parts, { ...outbound, ...kind }, 1, 1_500)))).toEqual(none);
      expect(heldAfter(arena, () => closeReceiveSa(arena, makeReceiveSa(parts, { ...inbound, ...kind }, 1, 1_500)))).toEqual(none);
    }
  });

  it("has eight octets more for the inner packet than in UDP, and with AH all but what AH is long", () => {
    const room = (kind: Partial<OutboundSa>) => makeTransmitSa(parts, { ...outbound, ...kind }, 1, 1_500).maxInner;
    expect(room(plain) - room({})).toBe(8);
    expect(room(ah)).toBe(1_500 - 20 - 28);
  });

  it.each([
    ["without a raw socket", plain, /no socket for ESP without UDP over IPv4: it needs CAP_NET_RAW/],
    ["without one for AH", ah, /no socket for AH over IPv4/],
    ["of AH in UDP", { ...ah, encapsulation: "udp" }, /AH does not go in UDP/],
    ["in transport mode", { mode: "transport" }, /no transport mode/],
    ["of AH with a key of another length", { ...ah, keys: { ...keys, integrityKey: new Uint8Array(20) } }, /no AH with the integrity algorithm/],
  ] as const)("is refused %s", (_name, kind, why) => {
    const given = why.source.includes("integrity") ? parts : partsIn(arena);
    expect(() => makeTransmitSa(given, { ...outbound, ...kind }, 1, 1_500)).toThrow(why);
    expect(() => makeReceiveSa(given, { ...inbound, ...kind }, 1, 1_500)).toThrow(why);
  });
});

describe("a packet that the socket does not take", () => {
  it.each([
    ["because it is no socket any more", [-1, -1]],
    ["because the machine lacks its family", [-1, null]],
  ] as const)("is counted as unsent, each of a run, %s", (_name, fds) => {
    const arena = new Arena(8 << 20);
    const counters = CounterTable.ofRows(3);
    const batch = new TransmitBatch(arena, fds, counters, null);
    const six = { ...outbound, local: { address: "fd00::1", port: 4_500 }, remote: { address: "fd00::2", port: 4_500 } };
    const sa = makeTransmitSa(partsIn(arena, { counters }), six, 2, 1_500);
    for (const octets of [1_000, 1_000, 1_000, 500, 1_200]) sealInner(arena, batch, sa, reserveInner(batch, sa, octets), octets, 4);
    batch.flush();
    expect(counters.drops(2)).toMatchObject({ unsent: 5, noSa: 0, tooBig: 0 });
  });
});

function withBroken<T>(name: "cipherByName" | "macInit", result: number, run: () => T): T {
  const spy = vi.spyOn(crypto, name).mockReturnValue(result);
  try {
    return run();
  } finally {
    spy.mockRestore();
  }
}
