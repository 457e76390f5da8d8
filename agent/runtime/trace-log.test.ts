import { expect, test } from "vitest";
import type { TraceRecord, TraceSource } from "../ike/endpoint-types.ts";
import { sourceOf } from "../testing/traced.ts";
import { entryOf, TraceLog } from "./trace-log.ts";

const wire = { firstPayload: 33, octets: "00000004" };

function record(at: number, change: Partial<TraceRecord> = {}): TraceRecord {
  return { at, linkId: "link", direction: "sent", exchange: "IKE_SA_INIT", messageId: 0, summary: `step ${at}`, detail: {}, wire, ...change };
}

function source(at: number, change: Partial<TraceRecord> = {}, octets = 0): TraceSource {
  return sourceOf(record(at, change), octets);
}

test("the console and a page get no octets, a file does", () => {
  const log = new TraceLog();
  const { wire: _octets, ...bare } = record(1.5);
  expect(entryOf(log.add(source(1.5)))).toEqual({ ...bare, at: 1, sequence: 0 });
  expect(log.of("link", 10)).toEqual([{ ...bare, at: 1, sequence: 0 }]);
  expect(log.forFile("link", 10)).toEqual([{ ...bare, at: 1, sequence: 0, wire }]);
});

test("a link keeps its newest 500 steps", () => {
  const log = new TraceLog();
  for (let at = 0; at < 600; at++) log.add(source(at));
  const kept = log.forFile("link", 1_000);
  expect([kept.length, kept[0]!.at]).toEqual([500, 100]);
  expect(kept.at(-1)!.wire).toEqual(wire);
});

test("a link keeps 64 kB of messages, and the newest however long it is", () => {
  const log = new TraceLog();
  for (let at = 0; at < 100; at++) log.add(source(at, {}, 1 << 10));
  expect(log.of("link", 1_000).map((entry) => entry.at)).toEqual(Array.from({ length: 64 }, (_, index) => index + 36));
  log.add(source(100, {}, 1 << 20));
  expect(log.of("link", 1_000).map((entry) => entry.at)).toEqual([100]);
  log.add(source(101, {}, 1 << 10));
  expect(log.of("link", 1_000).map((entry) => entry.at)).toEqual([101]);
});

test("thousands of links share the memory: each one keeps less", () => {
  const log = new TraceLog();
  for (let link = 0; link < 2_000; link++) log.add(source(link, { linkId: `l${link}` }));
  for (let at = 0; at < 200; at++) log.add(source(at, { linkId: "l7" }));
  expect(log.of("l7", 1_000).length).toBe(20);
  for (let at = 0; at < 20; at++) log.add(source(at, { linkId: "l7" }, 1 << 10));
  expect(log.of("l7", 1_000).length).toBe(8);
});

test("a step is put into words only when it is read", () => {
  const log = new TraceLog();
  let read = 0;
  const counted = {
    linkId: "link",
    octets: 0,
    read: () => {
      read += 1;
      return record(1);
    },
  };
  log.add(counted);
  expect(read).toBe(0);
  log.of("link", 10);
  expect(read).toBe(1);
});

test("a file also tells what was concluded about strangers, in order, and none of their messages", () => {
  const log = new TraceLog();
  log.add(source(1));
  log.add(source(2, { linkId: null, direction: "local", summary: "the limit of half-open IKE SAs" }));
  log.add(source(3, { linkId: null }));
  log.add(source(4));
  expect(log.forFile("link", 10).map((entry) => entry.at)).toEqual([1, 2, 4]);
});
