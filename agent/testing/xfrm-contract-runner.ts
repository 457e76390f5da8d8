import { deepStrictEqual } from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dataPlaneContract } from "../dataplane/data-plane.contract.ts";
import { XfrmDataPlane } from "../dataplane/xfrm/xfrm-data-plane.ts";
import { XfrmKernel } from "../dataplane/xfrm/xfrm-kernel.ts";
import { gcm, left, policyOf, saOf } from "./xfrm-pair.ts";

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
await report(`holds nothing once it has closed: SAs, policies, descriptors, threads and addresses after ${PLANES} planes are those after one`, async () => {
  await openAndClose();
  const before = held();
  deepStrictEqual([before.sas, before.policies], [0, 0]);
  for (let count = 0; count < PLANES; count++) await openAndClose();
  const after = held();
  const grown = after.addresses - before.addresses;
  if (grown > ADDRESSES_OF_A_WORKER) throw new Error(`${grown} octets of addresses are still held`);
  deepStrictEqual({ ...after, addresses: 0 }, { ...before, addresses: 0 });
});
console.log(JSON.stringify(results));

/** One that has two SAs and the policies for them when it closes. */
async function openAndClose(): Promise<void> {
  const plane = await XfrmDataPlane.create({ natPort: 4_500 });
  await plane.installSa(saOf(left, "inbound", { keys: gcm }));
  await plane.installSa(saOf(left, "outbound", { keys: gcm }));
  await plane.installPolicy(policyOf(left, { keys: gcm }));
  const { sas, policies } = held();
  deepStrictEqual([sas, policies], [2, 3]);
  await plane.close();
}

/** What the kernel has, and this process: octets of addresses, too, of which a kernel in user mode has 512 GB. */
function held(): Readonly<Record<"sas" | "policies" | "descriptors" | "threads" | "addresses", number>> {
  const kernel = XfrmKernel.open();
  const inKernel = { sas: kernel.dumpSas().length, policies: kernel.dumpPolicies().length };
  kernel.close();
  const [pages = "0"] = readFileSync("/proc/self/statm", "utf8").split(" ");
  return { ...inKernel, descriptors: readdirSync("/proc/self/fd").length, threads: readdirSync("/proc/self/task").length, addresses: Number(pages) * 4_096 };
}

async function report(name: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
    results[name] = null;
  } catch (error) {
    results[name] = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}
