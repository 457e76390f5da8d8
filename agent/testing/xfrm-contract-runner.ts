import { dataPlaneContract } from "../dataplane/data-plane.contract.ts";
import { XfrmDataPlane } from "../dataplane/xfrm/xfrm-data-plane.ts";

/*
 * Runs the data plane's contract against the kernel's plane in the network namespace that it is started in. Prints one JSON object: the name of
 * each case and null, or what went wrong.
 */
const results: Record<string, string | null> = {};

for (const { name, run } of dataPlaneContract) {
  await report(name, async () => {
    const plane = await XfrmDataPlane.create({ natPort: 4_500 });
    await run(plane).finally(() => plane.close());
  });
}
console.log(JSON.stringify(results));

async function report(name: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
    results[name] = null;
  } catch (error) {
    results[name] = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}
