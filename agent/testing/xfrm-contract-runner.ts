import { readdirSync, readFileSync } from "node:fs";
import { dataPlaneContract } from "../dataplane/data-plane.contract.ts";
import { XfrmDataPlane } from "../dataplane/xfrm/xfrm-data-plane.ts";

/*
 * Runs the data plane's contract against the kernel's plane in the network namespace that it is started in, with what this plane promises besides.
 * Prints one JSON object: the name of each case and null, or what went wrong.
 */
const PLANES = 15;
/** A worker that has ended gives its addresses back a moment later; a plane's memories, each of which V8 reserves 10 GB for, are several times this. */
const ADDRESSES_OF_A_WORKER = 48 * 2 ** 30;
const results: Record<string, string | null> = {};

for (const { name, run } of dataPlaneContract) {
  await report(name, async () => {
    const plane = await XfrmDataPlane.create({ natPort: 4_500 });
    await run(plane).finally(() => plane.close());
  });
}
await report(`holds nothing once it has closed: descriptors, threads and addresses after ${PLANES} planes are those after one`, async () => {
  await (await XfrmDataPlane.create({ natPort: 4_500 })).close();
  const before = held();
  for (let count = 0; count < PLANES; count++) await (await XfrmDataPlane.create({ natPort: 4_500 })).close();
  const after = held();
  const grown = after.addresses - before.addresses;
  if (after.descriptors !== before.descriptors || after.threads !== before.threads || grown > ADDRESSES_OF_A_WORKER)
    throw new Error(`${JSON.stringify(before)} became ${JSON.stringify(after)}`);
});
console.log(JSON.stringify(results));

/** What this process has: octets of addresses, too, of which a kernel in user mode has 512 GB. */
function held(): { descriptors: number; threads: number; addresses: number } {
  const [pages = "0"] = readFileSync("/proc/self/statm", "utf8").split(" ");
  return { descriptors: readdirSync("/proc/self/fd").length, threads: readdirSync("/proc/self/task").length, addresses: Number(pages) * 4_096 };
}

async function report(name: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
    results[name] = null;
  } catch (error) {
    results[name] = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}
