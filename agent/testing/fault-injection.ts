import { existsSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { isMainThread, threadName } from "node:worker_threads";

/*
 * Loaded before a gateway's own code (`--import`), in its main thread and in its workers, so that a test can do to a running one what no command does.
 * Files in the directory CULVERT_TEST_FAULTS are the orders:
 *   <worker's name>   where the worker next returns from poll the file is removed, and the worker does what the word in it says: `throw`, as a bug in it would,
 *                     or run (`loop`) or wait (`wait`) for ever. Without a word it has yet to be written
 *   <worker's name>.contexts   written when the worker ends: what it holds of OpenSSL's
 *   clock             milliseconds that the machine's clock has been set forwards, or with a minus backwards
 */
const directory = process.env["CULVERT_TEST_FAULTS"] ?? "";

if (!isMainThread) {
  const { crypto, libc } = await import("../dataplane/ffi/native.ts");
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
  countContexts(crypto);
}

/** Writes how many cipher contexts the worker has made, and how many of them it has not given back, into a file of its name when it ends. */
function countContexts(crypto: { cipherContextNew: () => number; cipherContextFree: (context: number) => void }): void {
  const { cipherContextNew, cipherContextFree } = crypto;
  let made = 0;
  let held = 0;
  const make = () => {
    made++;
    held++;
    return cipherContextNew();
  };
  const free = (context: number) => {
    held--;
    cipherContextFree(context);
  };
  Object.assign(crypto, { cipherContextNew: make, cipherContextFree: free });
  process.on("exit", () => writeFileSync(`${directory}/${threadName}.contexts`, `made ${made}, held ${held}`));
}

const trueNow = Date.now;
Date.now = () => trueNow() + (existsSync(`${directory}/clock`) ? Number(readFileSync(`${directory}/clock`, "utf8")) : 0);
