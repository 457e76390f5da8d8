import { existsSync, readFileSync, unlinkSync } from "node:fs";
import { isMainThread, threadName } from "node:worker_threads";

/*
 * Loaded before a gateway's own code (`--import`), in its main thread and in its workers, so that a test can do to a running one what no command does.
 * Files in the directory CULVERT_TEST_FAULTS are the orders:
 *   <worker's name>   where the worker next returns from poll the file is removed, and the worker does what the word in it says: `throw`, as a bug in it would,
 *                     or run (`loop`) or wait (`wait`) for ever. Without a word it has yet to be written
 *   clock             milliseconds that the machine's clock has been set forwards, or with a minus backwards
 */
const directory = process.env["CULVERT_TEST_FAULTS"] ?? "";

if (!isMainThread) {
  const { libc } = await import("../dataplane/ffi/native.ts");
  const { poll } = libc;
  const order = `${directory}/${threadName}`;
  const mortalPoll = (...args: unknown[]): number => {
    const ready: number = poll(...args);
    const fault = existsSync(order) ? readFileSync(order, "utf8") : "";
    if (fault !== "") {
      unlinkSync(order);
      for (; fault === "loop"; );
      if (fault === "wait") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      throw new Error("killed by the test");
    }
    return ready;
  };
  Object.defineProperty(libc, "poll", { value: mortalPoll });
}

const trueNow = Date.now;
Date.now = () => trueNow() + (existsSync(`${directory}/clock`) ? Number(readFileSync(`${directory}/clock`, "utf8")) : 0);
