import { setFlagsFromString } from "node:v8";
import { isMainThread, threadName } from "node:worker_threads";
import { runInNewContext } from "node:vm";

/*
 * Loaded before a gateway's own code (`--import`): has V8 print a line for each collection, in the main thread and in the workers. A line names its isolate and
 * no thread, so each thread introduces itself with so many collections of its own: one is the main thread, two the inbound worker, three the outbound one.
 */
const introductions = isMainThread ? 1 : threadName === "inbound" ? 2 : threadName === "outbound" ? 3 : 0;
setFlagsFromString("--expose-gc");
if (isMainThread) setFlagsFromString("--trace-gc");
const collect: () => void = runInNewContext("gc");
for (let times = 0; times < introductions; times++) collect();
