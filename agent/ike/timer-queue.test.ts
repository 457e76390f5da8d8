import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TimerQueue } from "./timer-queue.ts";

describe("TimerQueue", () => {
  it("has the earliest time of all owners first, however they are set, changed and taken away", () => {
    const step = fc.record({ owner: fc.nat(12), at: fc.option(fc.nat(50)) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), fc.nat(50), (steps, now) => {
        const queue = new TimerQueue<number>();
        const model = new Map<number, number>();
        for (const { owner, at } of steps) {
          queue.set(owner, at === null ? null : { at, reason: "" });
          if (at === null) model.delete(owner);
          else model.set(owner, at);
          expect(queue.earliest?.at ?? Infinity).toBe(Math.min(Infinity, ...model.values()));
        }
        const due = queue.takeDue(now);
        expect(due.map((owner) => model.get(owner))).toEqual([...model.values()].filter((at) => at <= now).toSorted((a, b) => a - b));
        expect(new Set(due).size).toBe(due.length);
        expect(queue.earliest?.at ?? Infinity).toBe(Math.min(Infinity, ...[...model.values()].filter((at) => at > now)));
      }),
    );
  });

  it("takes out those due at once in the order in which they were set", () => {
    const queue = new TimerQueue<string>();
    for (const owner of ["c", "a", "b"]) queue.set(owner, { at: 7, reason: "" });
    expect(queue.takeDue(7)).toEqual(["c", "a", "b"]);
  });
});
