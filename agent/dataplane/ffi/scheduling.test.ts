import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { Arena } from "./arena.ts";
import { runInBatches } from "./scheduling.ts";

const SCHED_BATCH = 3;

it("makes this thread one that the kernel does not interrupt others for", () => {
  expect(policyOfThisThread()).not.toBe(SCHED_BATCH);
  runInBatches(new Arena(1));
  expect(policyOfThisThread()).toBe(SCHED_BATCH);
});

/** Field 41 of proc_pid_stat(5); the second, in parentheses, may have spaces. */
function policyOfThisThread(): number {
  const fields = readFileSync("/proc/thread-self/stat", "latin1").split(") ")[1]?.split(" ") ?? [];
  return Number(fields[41 - 3]);
}
