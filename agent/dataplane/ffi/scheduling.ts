import type { Arena } from "./arena.ts";
import { libc } from "./native.ts";

const THIS_THREAD = 0;
const SCHED_BATCH = 3;

/**
 * Asks the kernel not to interrupt another thread when there is work for this one (sched(7), SCHED_BATCH): on a processor that is free it begins at once
 * as before, on a busy one when that other thread waits or has had its time, and then it finds several packets. Where that is not allowed the thread
 * stays as it was: slower under load, and nothing else.
 */
export function runInBatches(arena: Arena): void {
  // sched_priority, which is 0 for this policy.
  const parameters = arena.allocate(4);
  libc.schedSetScheduler(THIS_THREAD, SCHED_BATCH, arena.address + parameters);
  arena.free(parameters, 4);
}
