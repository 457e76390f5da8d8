import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { buildUdp } from "../../testing/inner-packets.ts";
import { type GatewayCounters, type LiveGateway, LivePair, until } from "../../testing/live-gateways.ts";

const isRoot = process.getuid?.() === 0;
const asRoot = isRoot || process.env["CI"] === "true" ? test : test.skip;
const pair = new LivePair("s");
const TWO_32 = 2 ** 32;
const ECHO_OCTETS = 84;

/** The left gateway gets these sequence numbers from a peer that sends what it likes; returns those whose packets it delivers. */
async function passing(sequences: readonly number[], last: number, extended = false, between?: (sent: number) => Promise<void>): Promise<number[]> {
  const packets = sequences.map((sequence, index) => ({
    // The port tells them apart: one number may come twice.
    inner: buildUdp(pair.right.inside, pair.left.inside, 20_000 + index).toString("hex"),
    sequence,
    extended,
  }));
  const delivered = await pair.delivered(packets, last, between);
  return delivered.map((packet) => sequences[packet.readUInt16BE(22) - 20_000] ?? -1);
}

function dealtWith({ inbound }: GatewayCounters): number {
  return Object.values(inbound.drops).reduce((sum, count) => sum + count, inbound.packets);
}

function expiries(gateway: LiveGateway): { kind: string; hard: boolean }[] {
  return gateway
    .events()
    .split("\n")
    .filter((line) => line.includes('"expire"'))
    .map((line) => JSON.parse(line));
}

describe("an SA of a live plane", () => {
  beforeAll(() => {
    if (isRoot) pair.makeNamespaces();
  });
  afterEach(() => pair.endGateways());
  afterAll(() => {
    if (isRoot) pair.removeNamespaces();
  });

  asRoot.each([64, 128, 1_024, 4_096])("takes each number within a replay window of %d once, late or not, and none to the left of it", async (size) => {
    const l = await pair.start(pair.left, { replayWindowPackets: size });
    const top = 10_000;
    const leftmost = top - size + 1;
    const sequences = [1, 1, top, leftmost - 1, leftmost, leftmost, top, top - 1, leftmost + 1, 2, top + 1, leftmost, leftmost + 1];
    expect(await passing(sequences, top + 2)).toEqual([1, top, leftmost, top - 1, leftmost + 1, top + 1]);
    expect((await l.counters()).inbound).toMatchObject({ packets: 7, drops: { replay: 7, integrity: 0 } });
  });

  asRoot("goes on beyond 2^32 with extended sequence numbers, and still takes what is late from before", async () => {
    const l = await pair.start(pair.left, { replayWindowPackets: 64, extendedSequenceNumbers: true });
    const sequences = [1, TWO_32 / 2, TWO_32 - 10, TWO_32 + 5, TWO_32 - 1, TWO_32 - 1, TWO_32 + 5, TWO_32 - 59, TWO_32, 1.5 * TWO_32, 2 * TWO_32 - 20];
    const passed = [1, TWO_32 / 2, TWO_32 - 10, TWO_32 + 5, TWO_32 - 1, TWO_32, 1.5 * TWO_32, 2 * TWO_32 - 20];
    // Jumps of half the numbers are guessed right only from where the one before has moved the window to.
    const oneByOne = (sent: number) => until("the packet to be dealt with", async () => dealtWith(await l.counters()) === sent);
    expect(await passing(sequences, 2 * TWO_32 + 1, true, oneByOne)).toEqual(passed);
    // A number left of the window is taken for one of the next 2^32, whose ICV it has not.
    expect((await l.counters()).inbound).toMatchObject({ packets: passed.length + 1, drops: { replay: 2, integrity: 1 } });
  });

  asRoot.each([
    ["packets sent", "outbound", { softPackets: 3, hardPackets: 5 }],
    ["octets sent", "outbound", { softBytes: 3 * ECHO_OCTETS, hardBytes: 5 * ECHO_OCTETS }],
    ["packets received", "inbound", { softPackets: 3, hardPackets: 5 }],
    ["octets received", "inbound", { softBytes: 2 * ECHO_OCTETS + 1, hardBytes: 5 * ECHO_OCTETS }],
  ] as const)("ends at its limit of %s, says so before and then, and counts what came too late", async (_name, direction, limits) => {
    const l = await pair.start(pair.left, { lifetimes: { [direction]: limits } });
    await pair.start(pair.right);
    expect(await pair.lostEchoes({ count: 3 })).toEqual([]);
    await until("the soft limit to be told", () => expiries(l).length > 0);
    expect(expiries(l)).toMatchObject([{ hard: false }]);
    expect(await pair.lostEchoes({ count: 5 })).toEqual([3, 4, 5]);
    expect(expiries(l)).toMatchObject([{ hard: false }, { hard: true }]);
    expect((await l.counters())[direction]).toMatchObject({ packets: 5, bytes: 5 * ECHO_OCTETS, drops: { lifetime: 3 } });
  });

  asRoot("ends when its time is over, without a packet to remind it", async () => {
    const lifetimes = { softSeconds: 0.4, hardSeconds: 2.5 };
    const began = performance.now();
    const l = await pair.start(pair.left, { lifetimes: { inbound: lifetimes, outbound: lifetimes } });
    await pair.start(pair.right);
    await until("both directions' soft limits", () => expiries(l).filter(({ hard }) => !hard).length === 2);
    expect(performance.now() - began).toBeGreaterThan(400);
    await until("both directions' hard limits", () => expiries(l).length === 4);
    expect(performance.now() - began).toBeGreaterThan(2_500);
    expect(expiries(l).slice(2)).toMatchObject([{ hard: true }, { hard: true }]);
    expect(await pair.lostEchoes({ count: 2 })).toEqual([1, 2]);
    expect((await l.counters()).outbound).toMatchObject({ packets: 0, drops: { lifetime: 2 } });
  });
});
