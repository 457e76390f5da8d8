import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { dataPlaneContract } from "../dataplane/data-plane.contract.ts";
import type { DataPlaneEvent } from "../dataplane/data-plane.ts";
import { libc } from "../dataplane/ffi/native.ts";
import { DatagramSender, openUdpSocket } from "../dataplane/ffi/udp-socket.ts";
import { parseSelector } from "../ipsec/traffic-selector.ts";
import { staticKeys } from "./static-keys.ts";
import type { EspSpi } from "../wire/ikev2/message-types.ts";
import { TunDataPlane, type TunDataPlaneOptions } from "../dataplane/tun/tun-data-plane.ts";

/*
 * Runs the data plane's contract against the TUN plane in the network namespace that it is started in, with what only this plane can
 * promise added. Prints one JSON object: the name of each case and null, or what went wrong.
 */
const options = { tunName: "contract0", mtu: 1_400, natPort: 4_500 };
const MANY = 10_000;
const device = `/sys/class/net/${options.tunName}`;
const results: Record<string, string | null> = {};

for (const { name, run } of dataPlaneContract) {
  for (const workers of [1, 2])
    await report(`${name} (workers of a direction: ${workers})`, async () => {
      const plane = await TunDataPlane.create({ ...options, inboundWorkers: workers, outboundWorkers: workers });
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
  const portOfSeveral = await refusal({ ...options, tunName: "contract1", inboundWorkers: 2 });
  const name = await refusal({ ...options, natPort: 4_600 });
  await first.close();
  if (![port, portOfSeveral].every((said) => said.includes("port 4500 is in use")) || !/contract0 is in use/.test(name))
    throw new Error(`said "${port}", "${portOfSeveral}" and "${name}"`);
  if (existsSync("/sys/class/net/contract1")) throw new Error("contract1 was left behind");
  await (await TunDataPlane.create({ ...options, natPort: 4_600 })).close();
});
await report("ends the other worker and holds nothing when one cannot start", async () => {
  const before = held();
  for (const [direction, workers] of [
    ["inbound", 1],
    ["outbound", 1],
    ["inbound", 3],
  ] as const) {
    const broken = new URL(`data:text/javascript,throw new Error("the ${direction} one is broken")`);
    const said = await refusal({ ...options, inboundWorkers: workers, workerFiles: { [direction]: broken } });
    if (!/^the \w+(-\d)? worker failed: the \w+ one is broken$/.test(said) || !said.includes(`the ${direction} one`)) throw new Error(`said "${said}"`);
    if (existsSync(device)) throw new Error("the device was left behind");
    const after = held();
    if (after.descriptors !== before.descriptors || after.threads !== before.threads)
      throw new Error(`${JSON.stringify(before)} became ${JSON.stringify(after)}`);
  }
  await (await TunDataPlane.create(options)).close();
});
await report("puts another worker in a dead one's place, and gives up when they go on dying", async () => {
  const before = held();
  const dying = new URL(
    'data:text/javascript,import { parentPort } from "node:worker_threads"; parentPort.postMessage({ kind: "ready" }); setTimeout(() => { throw new Error("dead"); }, 20);',
  );
  const plane = await TunDataPlane.create({ ...options, workerFiles: { inbound: dying } });
  const seen: string[] = [];
  await new Promise<void>((resolve) => {
    plane.onEvent((event) => {
      seen.push(event.kind);
      if (event.kind === "failed") resolve();
    });
  });
  const began = performance.now();
  await plane.close();
  // One that dies before it has said that it runs is not told of.
  if (!/^(sasLost,){1,3}failed$/.test(seen.join())) throw new Error(`raised ${seen.join()}`);
  if (performance.now() - began > 500) throw new Error(`took ${performance.now() - began} ms to close`);
  const after = held();
  if (after.descriptors !== before.descriptors || after.threads !== before.threads)
    throw new Error(`${JSON.stringify(before)} became ${JSON.stringify(after)}`);
});
await report("puts another worker in the place of one that runs or waits for ever, and ends both", async () => {
  const before = held();
  for (const ever of ["for (;;);", "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);"]) {
    const hanging = new URL(
      `data:text/javascript,import { parentPort } from "node:worker_threads"; parentPort.postMessage({ kind: "ready" }); setTimeout(() => { ${ever} }, 20);`,
    );
    const plane = await TunDataPlane.create({ ...options, workerFiles: { outbound: hanging } });
    const event = await new Promise<DataPlaneEvent>((resolve) => plane.onEvent(resolve));
    await plane.close();
    const expected = { kind: "sasLost", direction: "outbound", reason: "the outbound worker failed: it has given no sign of life for 2 s" };
    if (JSON.stringify(event) !== JSON.stringify(expected)) throw new Error(`raised ${JSON.stringify(event)}`);
    const after = held();
    if (after.descriptors !== before.descriptors || after.threads !== before.threads)
      throw new Error(`${JSON.stringify(before)} became ${JSON.stringify(after)}`);
  }
});
await report("passes on as many IKE messages as the main thread can deal with, none that is shorter than a header, and counts the others", async () => {
  const plane = await TunDataPlane.create(options);
  let taken = 0;
  plane.onIkeDatagram(() => taken++);
  const fd = openUdpSocket(4, 0)!;
  const sender = new DatagramSender();
  const send = (octets: number, times: number) => {
    for (let i = 0; i < times; i++)
      if (!sender.send(fd, "127.0.0.1", { address: "127.0.0.1", port: options.natPort }, new Uint8Array(4 + octets))) throw new Error("not sent");
  };
  send(27, 3);
  send(28, 2_000);
  // The main thread does nothing else meanwhile, as one that is overrun; the counters need none of it.
  const deadline = performance.now() + 5_000;
  const told = () => `${plane.globalDrops().malformed} and ${plane.globalDrops().unsent}`;
  while (told() !== "3 and 1488" && performance.now() < deadline) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  const first = told();
  const all = async (count: number) => {
    while (taken < count && performance.now() < deadline) await new Promise((resolve) => setImmediate(resolve));
  };
  await all(512);
  send(28, 1);
  await all(513);
  await plane.close();
  libc.close(fd);
  sender.close();
  if (first !== "3 and 1488" || taken !== 513) throw new Error(`dropped ${first}, took ${taken}`);
});
await report("has a worker in a dead one's place discard before it is told of new SAs, and not afterwards", async () => {
  // It tells what it is told to, and dies of `updateSa`.
  const telling = new URL(
    `data:text/javascript,import { parentPort } from "node:worker_threads";
    const tell = ({ kind, policy }) => parentPort.postMessage({ kind: "event", event: { kind: "acquire", policyId: kind + " " + (policy?.action.kind ?? "") } });
    parentPort.on("message", ({ ticket, commands }) => {
      for (const command of commands) {
        if (command.kind === "updateSa") throw new Error("dead");
        if (command.kind === "stop") parentPort.close();
        else tell(command);
      }
      parentPort.postMessage({ kind: "done", ticket, outcomes: commands.map(() => null) });
    });
    parentPort.postMessage({ kind: "ready" });`,
  );
  const plane = await TunDataPlane.create({ ...options, workerFiles: { outbound: telling } });
  await installPair(plane, 0);
  const told: string[] = [];
  plane.onEvent((event) => told.push(event.kind === "acquire" ? event.policyId.trim() : event.kind));
  await plane.updateSa("outbound", manySpi(0), { address: "127.0.0.3", port: 4_500 }).catch(() => undefined);
  // The one in its place has only just been started.
  await plane.deleteSa("inbound", manySpi(0));
  await installPair(plane, 0);
  await plane.close();
  const said = told.filter((what) => what !== "sasLost").join();
  const install = "installOutbound,installPolicy protect";
  if (said !== `${install},installPolicy discard,${install}`) throw new Error(`the two were told ${said}`);
});
await report("makes its device again when it is deleted, and loses no SA with it", async () => {
  const before = held();
  const plane = await TunDataPlane.create(options);
  await installPair(plane, 0);
  const replaced = new Promise((resolve) => plane.onEvent(resolve));
  execFileSync("ip", ["link", "del", options.tunName]);
  const event = await replaced;
  const isThere = existsSync(device);
  const sas = [plane.querySa("outbound", manySpi(0)), plane.querySa("inbound", manySpi(0))];
  await plane.close();
  if (JSON.stringify(event) !== '{"kind":"deviceReplaced","reason":"the TUN device was deleted"}') throw new Error(`raised ${JSON.stringify(event)}`);
  if (!isThere || sas.includes(null)) throw new Error(`the device is ${isThere ? "" : "not "}there, the SAs ${JSON.stringify(sas)}`);
  if (existsSync(device)) throw new Error("the device was left behind");
  const after = held();
  if (after.descriptors !== before.descriptors || after.threads !== before.threads)
    throw new Error(`${JSON.stringify(before)} became ${JSON.stringify(after)}`);
});
await report("holds 10,000 SAs of each direction and as many policies, and takes as many again when they are gone", async () => {
  const plane = await TunDataPlane.create(options);
  for (let round = 0; round < 2; round++) {
    await Promise.all(Array.from({ length: MANY }, (_, index) => installPair(plane, index)));
    if (plane.querySa("outbound", manySpi(MANY - 1)) === null) throw new Error("the last one is not there");
    await plane.flush();
  }
  await plane.close();
});
console.log(JSON.stringify(results));

function manySpi(index: number): EspSpi {
  return (0x1000 + index) as EspSpi;
}

/** An SA in each direction and a policy; both families in turn. */
async function installPair(plane: TunDataPlane, index: number): Promise<void> {
  const network = index % 2 === 0 ? `10.${index >> 8}.${index & 255}.0/24` : `fd00:0:0:${index.toString(16)}::/64`;
  const selectors = { localSelectors: [parseSelector(index % 2 === 0 ? "192.168.0.0/16" : "fc00::/16")], remoteSelectors: [parseSelector(network)] };
  const common = {
    childSaId: String(index),
    spi: manySpi(index),
    keys: staticKeys("aes128gcm16", manySpi(index)),
    extendedSequenceNumbers: false,
    protocol: "esp",
    mode: "tunnel",
    local: { address: "127.0.0.1", port: 4_500 },
    remote: { address: "127.0.0.2", port: 4_500 },
    encapsulation: "udp",
  } as const;
  await plane.installSa({ ...common, ...selectors, direction: "inbound", replayWindowPackets: 64 });
  await plane.installSa({ ...common, direction: "outbound" });
  await plane.installPolicy({ id: String(index), ...selectors, action: { kind: "protect", spi: common.spi } });
}

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
