import { describe, expect, test } from "vitest";
import { Heartbeat, SilenceJudge } from "./heartbeat.ts";

/** Looks at these times, a beat before each that is in `beatsBefore`; returns the first look that took the worker for hung. */
function hungAt(times: readonly number[], beatsBefore: readonly number[] = []): number | null {
  const heartbeat = new Heartbeat();
  const judge = new SilenceJudge(heartbeat, 0);
  for (const at of times) {
    if (beatsBefore.includes(at)) heartbeat.beat();
    if (judge.look(at)) return at;
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

test("a loop turns at least four times a second, and sooner when it waits for something", () => {
  const heartbeat = new Heartbeat();
  expect([-1, 0, 20, 60_000].map((timeoutMs) => heartbeat.turn(timeoutMs))).toEqual([250, 0, 20, 250]);
  expect(new Heartbeat(heartbeat.shared).count).toBe(4);
});
