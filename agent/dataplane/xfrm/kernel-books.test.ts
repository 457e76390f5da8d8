import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FakeXfrmKernel } from "../../testing/fake-xfrm-kernel.ts";
import { gcm, left, policyOf, right, saOf, spiOf } from "../../testing/xfrm-pair.ts";
import type { DataPlaneEvent } from "../data-plane.ts";
import type { KernelEvent } from "./kernel-events.ts";
import { KernelBooks } from "./kernel-books.ts";
import { KernelRefusal } from "./netlink-dialog.ts";
import type { SaReport } from "./sa-messages.ts";

const udp = { keys: gcm, encapsulation: "udp" } as const;
const ENOMEM = 12;
const refused: DataPlaneEvent = { kind: "failed", reason: `the kernel refused it: errno ${ENOMEM}` };
let kernel: FakeXfrmKernel;
let books: KernelBooks;
let told: DataPlaneEvent[];

beforeEach(() => {
  vi.useFakeTimers();
  kernel = new FakeXfrmKernel();
  told = [];
  books = new KernelBooks(kernel, { interfaces: null, offload: false, emit: (event) => told.push(event) });
  books.installSa(saOf(left, "inbound", udp));
  books.installSa(saOf(left, "outbound", udp));
  books.installPolicy(policyOf(left, udp));
});

afterEach(() => {
  kernel.refusal = null;
  books.flush();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

function inKernel(direction: "inbound" | "outbound"): SaReport {
  return [...kernel.sas.values()].find(({ id }) => id.spi === spiOf("left", direction))!;
}

function takeAway(...directions: ("inbound" | "outbound")[]): void {
  for (const direction of directions) kernel.deleteSa(inKernel(direction).id);
}

function over(direction: "inbound" | "outbound"): DataPlaneEvent {
  return { kind: "expire", childSaId: "child", spi: spiOf("left", direction), hard: true };
}

describe("an SA that is gone without a word", () => {
  test.each([
    { gone: ["inbound"] as const, from: "unused" },
    { gone: ["inbound"] as const, from: "used" },
    { gone: ["outbound"] as const, from: "used" },
    { gone: ["inbound", "outbound"] as const, from: "used" },
  ])("is missed within two seconds and told of once, though no packet asks for it: $gone, $from", ({ gone, from }) => {
    if (from === "used") for (const [name, report] of kernel.sas) kernel.sas.set(name, { ...report, packets: 7 });
    vi.advanceTimersByTime(5_000);
    told.length = 0;
    takeAway(...gone);
    vi.advanceTimersByTime(2_000);
    expect(told).toEqual(gone.map(over));
    vi.advanceTimersByTime(60_000);
    expect(told.length).toBe(gone.length);
    // The counters that it had are kept.
    if (from === "used") expect(books.querySa(gone[0], spiOf("left", gone[0]))?.packets).toBe(7);
  });

  test("is told of by what the kernel says of it, where that comes", () => {
    vi.advanceTimersByTime(900);
    const report = { ...inKernel("outbound"), packets: 9 };
    takeAway("outbound");
    vi.advanceTimersByTime(900);
    expect(told).toEqual([]);
    books.take({ kind: "expire", sa: report, hard: false });
    books.take({ kind: "expire", sa: report, hard: true });
    vi.advanceTimersByTime(60_000);
    expect(told).toEqual([{ ...over("outbound"), hard: false }, over("outbound")]);
    expect(books.querySa("outbound", spiOf("left", "outbound"))?.packets).toBe(9);
  });

  test("is nobody's loss once it was to go", () => {
    books.deleteSa("inbound", spiOf("left", "inbound"));
    vi.advanceTimersByTime(60_000);
    expect(told).toEqual([]);
  });

  test("is found among thousands", () => {
    for (let generation = 1; generation <= 2_000; generation++) books.installSa(saOf(left, "outbound", { ...udp, generation: 0x1_0000 + generation }));
    vi.advanceTimersByTime(500);
    takeAway("outbound");
    vi.advanceTimersByTime(10_000);
    expect(told).toEqual([over("outbound")]);
  });
});

test("an SA that cannot be made again where its peer is now is over, and not left where it was", () => {
  kernel.isLocked = true;
  books.updateSa("outbound", spiOf("left", "outbound"), { address: "192.0.2.77", port: 4_500 });
  expect(told).toEqual([over("outbound")]);
  expect([...kernel.sas.values()].map(({ id }) => id.spi)).toEqual([spiOf("left", "inbound")]);
  books.deleteSa("outbound", spiOf("left", "outbound"));
});

describe("what the kernel refuses while nobody waits for it fails the plane and not the process", () => {
  const refusal = new KernelRefusal({ errno: ENOMEM, text: null }, "it");
  const discard = { ...policyOf(left, udp), action: { kind: "discard" } } as const;
  const index = (direction: string): number => [...kernel.policies.values()].find((policy) => policy.direction === direction)!.index;
  const remote = { address: right.outside, port: 4_777 };

  test.each<[string, () => KernelEvent]>([
    ["packets that meet a policy whose SA is gone", () => ({ kind: "acquire", policyIndex: index("out") })],
    ["a policy that was deleted", () => ({ kind: "policyDeleted", index: index("in") })],
    ["policies that may have been deleted", () => ({ kind: "policyDeleted", index: null })],
    ["word that was dropped", () => ({ kind: "lost" })],
    ["a port of the peer that changes", () => ({ kind: "mapping", spi: spiOf("left", "inbound"), reqid: inKernel("inbound").reqid, remote })],
  ])("at once: %s", (_, happen) => {
    const event = happen();
    kernel.refusal = refusal;
    books.take(event);
    expect(told.filter(({ kind }) => kind === "failed")).toEqual([refused]);
  });

  test.each<[string, number, () => void]>([
    ["new SAs are looked at", 20, () => books.installSa(saOf(left, "inbound", udp))],
    ["SAs are looked for", 1_000, () => books.installSa(saOf(left, "outbound", udp))],
    [
      "a policy asks for another packet",
      1_000,
      () => {
        books.installPolicy(discard);
        books.take({ kind: "acquire", policyIndex: index("out") });
      },
    ],
    [
      "policies are looked at once more",
      1_000,
      () => {
        for (let times = 0; times < 2; times++) books.take({ kind: "policyDeleted", index: null });
      },
    ],
  ])("later: %s", (_, afterMs, prepare) => {
    books.flush();
    prepare();
    told.length = 0;
    kernel.refusal = refusal;
    vi.advanceTimersByTime(afterMs);
    expect(told).toEqual([refused]);
  });

  test("later: what a killed run left is removed", () => {
    const next = new KernelBooks(kernel, { interfaces: null, offload: false, emit: (event) => told.push(event) });
    next.removeLeftoversAfter(10);
    kernel.refusal = refusal;
    vi.advanceTimersByTime(10);
    expect(told).toEqual([refused]);
  });
});
