import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { PeerAddresses } from "./peer-addresses.ts";

let asked: string[];
let answer: (name: string) => Promise<readonly string[]>;
let addresses: PeerAddresses;
let lateAnswers: number;
const silent = () => new Promise<never>(() => undefined);

beforeEach(() => {
  vi.useFakeTimers();
  asked = [];
  answer = silent;
  lateAnswers = 0;
  const onLateAnswer = () => void lateAnswers++;
  addresses = new PeerAddresses(onLateAnswer, (name) => {
    asked.push(name);
    return answer(name);
  });
});
afterEach(() => {
  vi.useRealTimers();
});

const lookUp = (...names: string[]) => addresses.lookUp(new Set(names));

/** Resolves to the milliseconds that it took. */
async function timed(work: Promise<void>): Promise<number> {
  const begun = Date.now();
  const done = work.then(() => Date.now() - begun);
  await vi.advanceTimersByTimeAsync(60_000);
  return done;
}

test("names are looked up at once, and one that is not answered keeps the others waiting for a second", async () => {
  answer = async (name) => (name === "silent.example" ? silent() : ["198.51.100.2", "198.51.100.10"]);
  expect(await timed(lookUp("silent.example", "a.example", "b.example"))).toBe(1_000);
  expect(asked).toEqual(["silent.example", "a.example", "b.example"]);
  expect(addresses.of("b.example")).toEqual({ kind: "known", addresses: ["198.51.100.10", "198.51.100.2"] });
  expect(addresses.of("silent.example")).toEqual({ kind: "unresolved", reason: "the name server is silent" });
  expect(addresses.of("c.example")).toEqual({ kind: "notLookedUp" });
  expect(await timed(lookUp("a.example"))).toBe(0);
});

test("a name that is being looked up is not asked for again, and its late answer counts, which is told", async () => {
  const late = Promise.withResolvers<readonly string[]>();
  answer = () => late.promise;
  await timed(lookUp("a.example"));
  await timed(lookUp("a.example"));
  expect([asked, lateAnswers]).toEqual([["a.example"], 0]);
  late.resolve(["198.51.100.2"]);
  await vi.advanceTimersByTimeAsync(0);
  expect([addresses.of("a.example"), lateAnswers]).toEqual([{ kind: "known", addresses: ["198.51.100.2"] }, 1]);
  answer = async () => ["198.51.100.3"];
  await timed(lookUp("a.example"));
  expect([asked.length, addresses.of("a.example"), lateAnswers]).toEqual([2, { kind: "known", addresses: ["198.51.100.3"] }, 1]);
});

test("what was answered once is known until there is another answer", async () => {
  answer = async () => Promise.reject(new Error("ENOTFOUND"));
  await timed(lookUp("a.example"));
  expect(addresses.of("a.example")).toEqual({ kind: "unresolved", reason: "ENOTFOUND" });
  answer = async () => ["198.51.100.2"];
  await timed(lookUp("a.example"));
  for (const fails of [async () => Promise.reject(new Error("EAI_AGAIN")), silent]) {
    answer = fails;
    await timed(lookUp("a.example"));
    expect(addresses.of("a.example")).toEqual({ kind: "known", addresses: ["198.51.100.2"] });
  }
});
