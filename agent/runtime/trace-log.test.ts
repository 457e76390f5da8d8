import { expect, test } from "vitest";
import type { TraceRecord } from "../ike/endpoint-types.ts";
import { TraceLog } from "./trace-log.ts";

const wire = { firstPayload: 33, octets: "00000004" };

function record(at: number, change: Partial<TraceRecord> = {}): TraceRecord {
  return { at, linkId: "link", direction: "sent", exchange: "IKE_SA_INIT", messageId: 0, summary: `step ${at}`, detail: {}, wire, ...change };
}

test("the console and a page get no octets, a file does", () => {
  const log = new TraceLog();
  const { wire: _octets, ...bare } = record(1.5);
  expect(log.add(record(1.5))).toEqual({ ...bare, at: 1, sequence: 0 });
  expect(log.of("link", 10)).toEqual([{ ...bare, at: 1, sequence: 0 }]);
  expect(log.forFile("link", 10)).toEqual([{ ...bare, at: 1, sequence: 0, wire }]);
});

test("a link keeps its newest 500 steps, and the octets of its newest 64 messages", () => {
  const log = new TraceLog();
  for (let at = 0; at < 600; at++) log.add(record(at));
  const kept = log.forFile("link", 1_000);
  expect([kept.length, kept[0]!.at, kept.filter((entry) => entry.wire !== undefined).length]).toEqual([500, 100, 64]);
  expect(kept.at(-1)!.wire).toEqual(wire);
});

test("thousands of links share the memory: each one keeps less", () => {
  const log = new TraceLog();
  for (let link = 0; link < 2_000; link++) log.add(record(link, { linkId: `l${link}` }));
  for (let at = 0; at < 200; at++) log.add(record(at, { linkId: "l7" }));
  expect(log.of("l7", 1_000).length).toBe(20);
  expect(log.forFile("l7", 1_000).filter((entry) => entry.wire !== undefined).length).toBe(3);
});

test("a file also tells what was concluded about strangers, in order, and none of their messages", () => {
  const log = new TraceLog();
  log.add(record(1));
  log.add(record(2, { linkId: null, direction: "local", summary: "the limit of half-open IKE SAs" }));
  log.add(record(3, { linkId: null }));
  log.add(record(4));
  expect(log.forFile("link", 10).map((entry) => entry.at)).toEqual([1, 2, 4]);
});
