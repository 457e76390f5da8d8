import { existsSync } from "node:fs";
import { dataPlaneContract } from "../dataplane/data-plane.contract.ts";
import { TunDataPlane } from "../dataplane/tun/tun-data-plane.ts";

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
console.log(JSON.stringify(results));

async function refusal(asked: typeof options): Promise<string> {
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
