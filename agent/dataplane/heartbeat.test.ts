import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { Heartbeat, SilenceJudge, ThreadTime } from "./heartbeat.ts";

/** Looks at these times, a beat before each that is in `beatsBefore`; returns the first look that took the worker for hung. It had this share of the time. */
function hungAt(times: readonly number[], beatsBefore: readonly number[] = [], share = 1): number | null {
  const heartbeat = new Heartbeat();
  const judge = new SilenceJudge(heartbeat, 0);
  let before = 0;
  for (const at of times) {
    if (beatsBefore.includes(at)) heartbeat.beat();
    if (judge.look(at, share * (at - before))) return at;
    before = at;
  }
  return null;
}

const everyHalfSecond = (count: number, from = 500) => Array.from({ length: count }, (_, index) => from + 500 * index);

describe("a worker without a sign of life", () => {
  test("is taken for hung at the fourth look in a row", () => {
    expect(hungAt(everyHalfSecond(10))).toBe(2_000);
  });

  test("is not while it beats once in four looks, however long that goes on", () => {
    const times = everyHalfSecond(10_000);
    expect(
      hungAt(
        times,
        times.filter((_, index) => index % 4 === 3),
      ),
    ).toBeNull();
  });

  test("has four looks more after a beat", () => {
    expect(hungAt(everyHalfSecond(10), [1_500])).toBe(3_500);
  });

  test("is not accused by looks that came late: the main thread did not run either", () => {
    expect(hungAt(Array.from({ length: 1_000 }, (_, index) => 800 * (index + 1)))).toBeNull();
  });

  test("is judged after the machine slept by looks that were on time, those before and those after", () => {
    expect(hungAt([500, 1_000, 1_500, 3_600_000, 3_600_500])).toBe(3_600_500);
    expect(hungAt([500, 1_000, 1_500, 3_600_000, ...everyHalfSecond(3, 3_600_500)], [3_600_500])).toBeNull();
  });
});

describe("a worker that has to share its processor", () => {
  test("is taken for hung once it had a second, and not before four looks", () => {
    expect(hungAt(everyHalfSecond(100), [], 0.8)).toBe(2_000);
    expect(hungAt(everyHalfSecond(100), [], 0.25)).toBe(4_000);
  });

  test("is not while it gets none", () => {
    expect(hungAt(everyHalfSecond(10_000), [], 0)).toBeNull();
  });
});

describe("the time that a thread had", () => {
  const stat = (state: string, userTicks: number, systemTicks: number) => `7 (a) name) ${state} 1 2 3 0 -1 64 5 0 0 0 ${userTicks} ${systemTicks} 0 0 20 0 7 0`;

  test("is what it ran while it waits for a processor, and all of it while it waits for anything else", () => {
    const texts = [stat("S", 100, 20), stat("R", 105, 25), stat("S", 105, 25), stat("D", 105, 25), stat("R", 105, 25), stat("R", 255, 25)];
    const time = new ThreadTime(0, () => texts.shift() ?? null);
    expect([500, 1_000, 1_500, 2_000, 2_500].map((now) => time.had(now))).toEqual([100, 500, 500, 0, 500]);
  });

  test("is all of it where the kernel does not say", () => {
    const time = new ThreadTime(0, () => null);
    expect([500, 700].map((now) => time.had(now))).toEqual([500, 200]);
  });

  test("is read of a thread that runs and of one that sleeps", async () => {
    const heartbeat = new Heartbeat();
    const text = `const { workerData, parentPort } = require("node:worker_threads");
      const thread = Number(require("node:fs").readlinkSync("/proc/thread-self").split("/").at(-1));
      parentPort.postMessage(thread);
      const wanted = new Int32Array(workerData);
      while (Atomics.load(wanted, 0) === 0);
      Atomics.wait(wanted, 0, 1);`;
    const worker = new Worker(text, { eval: true, workerData: heartbeat.shared });
    const [thread]: number[] = await once(worker, "message");
    const read = () => readFileSync(`/proc/self/task/${thread}/stat`, "latin1");
    const time = new ThreadTime(performance.now(), read);
    // Until it has run for so long, however many share the processors.
    let ran = 0;
    while (ran < 50) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      const had = time.had(performance.now());
      if (read().includes(") R ")) ran += had;
    }
    heartbeat.beat();
    while (!read().includes(") S ")) await new Promise((resolve) => setTimeout(resolve, 10));
    time.had(1_000_000);
    expect(time.had(1_000_300)).toBe(300);
    await worker.terminate();
  });
});

test("a loop turns at least four times a second, and sooner when it waits for something", () => {
  const heartbeat = new Heartbeat();
  expect([-1, 0, 20, 60_000].map((timeoutMs) => heartbeat.turn(timeoutMs))).toEqual([250, 0, 20, 250]);
  heartbeat.begin(7);
  const seen = new Heartbeat(heartbeat.shared);
  expect([seen.count, seen.thread]).toEqual([4, 7]);
});
