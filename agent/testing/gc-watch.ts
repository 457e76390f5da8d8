import { Session } from "node:inspector";
import { setFlagsFromString } from "node:v8";
import { isMainThread, threadName } from "node:worker_threads";
import { runInNewContext } from "node:vm";

/*
 * Loaded before a gateway's own code (`--import`): has V8 print a line for each collection, in the main thread and in the workers. A line names its isolate and
 * no thread, so each thread introduces itself with so many collections of its own: one is the main thread, two the inbound worker, three the outbound one.
 * The main thread's heap is collected in full every five minutes, so that what is left says whether it grows; a worker never comes to its timers.
 */
const introductions = isMainThread ? 1 : threadName === "inbound" ? 2 : threadName === "outbound" ? 3 : 0;
setFlagsFromString("--expose-gc");
if (isMainThread) setFlagsFromString("--trace-gc");
const collect: () => void = runInNewContext("gc");
for (let times = 0; times < introductions; times++) collect();

const FULL_COLLECTION_MS = 300_000;
if (isMainThread) {
  const session = new Session();
  session.connect();
  setInterval(() => session.post("HeapProfiler.collectGarbage"), FULL_COLLECTION_MS).unref();
}
