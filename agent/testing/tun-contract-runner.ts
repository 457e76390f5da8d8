import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { dataPlaneContract } from "../dataplane/data-plane.contract.ts";
import { TunDataPlane, type TunDataPlaneOptions } from "../dataplane/tun/tun-data-plane.ts";

/*
 * Runs the data plane's contract against the TUN plane in the network namespace that it is started in, with what only this plane can
 * promise added. Prints one JSON object: the name of each case and null, or what went wrong.
 */
const options = { tunName: "contract0", mtu: 1_400, natPort: 4_500 };
const device = `/sys/class/net/${options.tunName}`;
const results: Record<string, string | null> = {};

for (const { name, run } of dataPlaneContract) {
  await report(name, async () => {
    const plane = await TunDataPlane.create(options);
    await run(plane).finally(() => plane.close());
  });
}
await report("takes the device away when it closes", async () => {
  const plane = await TunDataPlane.create(options);
  const before = existsSync(device);
  await plane.close();
  if (!before || existsSync(device)) throw new Error(`the device was ${before ? "left behind" : "never there"}`);
});
await report("says in a sentence that the port or the device is taken, and leaves nothing behind", async () => {
  const first = await TunDataPlane.create(options);
  const port = await refusal({ ...options, tunName: "contract1" });
  const name = await refusal({ ...options, natPort: 4_600 });
  await first.close();
  if (!/port 4500 is in use/.test(port) || !/contract0 is in use/.test(name)) throw new Error(`said "${port}" and "${name}"`);
  if (existsSync("/sys/class/net/contract1")) throw new Error("contract1 was left behind");
  await (await TunDataPlane.create({ ...options, natPort: 4_600 })).close();
});
await report("ends the other worker and holds nothing when one cannot start", async () => {
  const before = held();
  for (const direction of ["inbound", "outbound"] as const) {
    const broken = new URL(`data:text/javascript,throw new Error("the ${direction} one is broken")`);
    const said = await refusal({ ...options, workerFiles: { [direction]: broken } });
    if (!said.includes(`the ${direction} worker failed: the ${direction} one is broken`)) throw new Error(`said "${said}"`);
    if (existsSync(device)) throw new Error("the device was left behind");
    const after = held();
    if (after.descriptors !== before.descriptors || after.threads !== before.threads)
      throw new Error(`${JSON.stringify(before)} became ${JSON.stringify(after)}`);
  }
  await (await TunDataPlane.create(options)).close();
});
await report("closes within half a second when a worker has failed", async () => {
  const before = held();
  const plane = await TunDataPlane.create(options);
  const failed = new Promise((resolve) => plane.onEvent(resolve));
  execFileSync("ip", ["link", "del", options.tunName]);
  await failed;
  const began = performance.now();
  await plane.close();
  if (performance.now() - began > 500) throw new Error(`took ${performance.now() - began} ms`);
  const after = held();
  if (after.descriptors !== before.descriptors || after.threads !== before.threads)
    throw new Error(`${JSON.stringify(before)} became ${JSON.stringify(after)}`);
});
console.log(JSON.stringify(results));

/** Descriptors and threads of this process. */
function held(): { descriptors: number; threads: number } {
  return { descriptors: readdirSync("/proc/self/fd").length, threads: readdirSync("/proc/self/task").length };
}

async function refusal(asked: TunDataPlaneOptions): Promise<string> {
  try {
    await (await TunDataPlane.create(asked)).close();
    return "nothing";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function report(name: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
    results[name] = null;
  } catch (error) {
    results[name] = error instanceof Error ? error.message : String(error);
  }
}
