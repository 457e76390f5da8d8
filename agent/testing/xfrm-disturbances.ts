import { deepStrictEqual, match, notStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { execFileSync } from "node:child_process";
import type { Worker } from "node:worker_threads";
import type { DataPlaneEvent } from "../dataplane/data-plane.ts";
import { enterNetworkNamespace } from "../dataplane/ffi/network-namespace.ts";
import { KernelBooks } from "../dataplane/xfrm/kernel-books.ts";
import { XfrmDataPlane } from "../dataplane/xfrm/xfrm-data-plane.ts";
import { XfrmKernel } from "../dataplane/xfrm/xfrm-kernel.ts";
import { machineFactories } from "../runtime/machine-factories.ts";
import {
  answered,
  gcm,
  inside,
  installBoth,
  killOneThatHolds,
  left,
  listen,
  type Planes,
  policies,
  policyOf,
  right,
  saOf,
  spiOf,
  states,
} from "./xfrm-pair.ts";

/* What others do to a kernel's plane, or what happens to it: cases for two planes (xfrm-pair.ts) that begin without SAs. */
const workers: Worker[] = [];
process.on("worker", (worker: Worker) => workers.push(worker));

export async function deletedByOthers(planes: Planes): Promise<void> {
  await installBoth(planes, { keys: gcm });
  const heard = listen(planes.left);
  strictEqual(await answered("left", "10.1.0.1", "10.2.0.1", 5), 5);
  await inside("left", "ip", "xfrm", "state", "flush");
  strictEqual(await answered("left", "10.1.0.1", "10.2.0.1", 2), 0);
  const told = [await heard.next("expire"), await heard.next("expire")];
  // The outbound one is asked for by a packet, the other is looked for: which is missed first is nobody's promise.
  for (const direction of ["inbound", "outbound"] as const) strictEqual(told.filter((event) => isOver(event, direction)).length, 1, direction);
  strictEqual(heard.all.filter(({ kind }) => kind === "expire").length, 2);
}

/** Nothing is sent through what is left, so the kernel has nothing to tell. */
export async function deletedInSilence(planes: Planes): Promise<void> {
  for (const direction of ["inbound", "outbound"] as const) {
    await installBoth(planes, { keys: gcm });
    const heard = listen(planes.left);
    strictEqual(await answered("left", "10.1.0.1", "10.2.0.1", 5), 5);
    const [end, spi] = [direction === "inbound" ? left : right, spiOf("left", direction)];
    await inside("left", "ip", "xfrm", "state", "delete", "dst", end.outside, "proto", "esp", "spi", `0x${spi.toString(16)}`);
    ok(isOver(await heard.next("expire"), direction));
    await Promise.all([planes.left.flush(), planes.right.flush()]);
  }
}

function isOver(event: DataPlaneEvent, direction: "inbound" | "outbound"): boolean {
  return event.kind === "expire" && event.hard && event.spi === spiOf("left", direction);
}

export async function policiesDeleted(planes: Planes): Promise<void> {
  await installBoth(planes, { keys: gcm });
  const heard = listen(planes.left);
  const before = await policies();
  const of = ["src", left.network, "dst", right.network, "dir", "out"];
  await inside("left", "ip", "xfrm", "policy", "delete", ...of);
  deepStrictEqual(await heard.next("recovered"), { kind: "recovered", reason: "somebody deleted a policy of ours: it was put back" });
  await inside("left", "ip", "xfrm", "policy", "flush");
  deepStrictEqual(await heard.next("recovered"), { kind: "recovered", reason: "somebody deleted 3 policies of ours: they were put back" });
  deepStrictEqual((await policies()).toSorted(), before.toSorted());
  strictEqual(await answered("left", "10.1.0.1", "10.2.0.1", 5), 5);
  strictEqual(planes.left.querySa("outbound", spiOf("left", "outbound"))?.packets, 5);
}

/** Another program's policy in the place of one of ours stays, whatever we do afterwards. */
export async function placeTaken(planes: Planes): Promise<void> {
  await installBoth(planes, { keys: gcm });
  const heard = listen(planes.left);
  const of = ["src", left.network, "dst", right.network, "dir", "out"];
  const foreign = `policy add ${of.join(" ")} action block index 0x9`;
  // In one process: nobody has the time to put ours back.
  execFileSync("ip", ["-n", "left", "-batch", "-"], { input: `xfrm policy flush\nxfrm ${foreign}\n` });
  deepStrictEqual(await heard.next("recovered"), { kind: "recovered", reason: "somebody deleted 2 policies of ours: they were put back" });
  const [before, ...more] = (await policies()).filter((policy) => policy.includes("dir out"));
  match(before!, /action block/);
  deepStrictEqual(more, []);
  const rekeyed = { keys: gcm, generation: 0x100 };
  await planes.left.installSa(saOf(left, "inbound", rekeyed));
  await planes.left.installSa(saOf(left, "outbound", rekeyed));
  await rejects(planes.left.installPolicy(policyOf(left, rekeyed)), {
    message: `another program has a policy (out) for packets from ${left.network} to ${right.network}`,
  });
  await planes.left.deletePolicy("child");
  await planes.left.flush();
  deepStrictEqual(await policies(), [before]);
  await inside("left", "ip", "xfrm", "policy", "delete", ...of);
}

export async function workerDies(planes: Planes): Promise<void> {
  await installBoth(planes, { keys: gcm, lifetimes: { softPackets: 3 } });
  const heard = listen(planes.left);
  // The left's plane is the first to be made.
  let mortal: Worker | undefined = workers[0];
  for (let times = 0; times < 3; times++) {
    const replaced = heard.next("recovered");
    void mortal?.terminate();
    strictEqual(await answered("left", "10.1.0.1", "10.2.0.1", 5), 5);
    deepStrictEqual(await replaced, { kind: "recovered", reason: "the listening worker ended with code 1: another has taken its place" });
    mortal = workers.at(-1);
  }
  const limits = heard.all.filter(({ kind }) => kind === "expire");
  deepStrictEqual(limits, [{ kind: "expire", childSaId: "child", spi: spiOf("left", "outbound"), hard: false }]);
  const failed = heard.next("failed");
  void mortal?.terminate();
  deepStrictEqual(await failed, { kind: "failed", reason: "the listening worker ended with code 1" });
}

export async function lossOfEvents(): Promise<void> {
  enterNetworkNamespace("left");
  const kernel = XfrmKernel.open();
  const events: DataPlaneEvent[] = [];
  // Nobody listens: whatever the kernel tells is lost.
  const books = new KernelBooks(kernel, { interfaces: null, offload: false, emit: (event) => events.push(event) });
  const told = () => {
    books.take({ kind: "lost" });
    return events.splice(0).map((event) => (event.kind === "expire" ? event.hard : event.kind));
  };
  try {
    books.installSa(saOf(left, "outbound", { keys: gcm, lifetimes: { softPackets: 3, hardPackets: 6 } }));
    books.installPolicy(policyOf(left, { keys: gcm }));
    deepStrictEqual(told(), []);
    await answered("left", "10.1.0.1", "10.2.0.1", 4);
    deepStrictEqual([told(), told()], [[false], []]);
    await answered("left", "10.1.0.1", "10.2.0.1", 4);
    deepStrictEqual([told(), told()], [[true], []]);
    strictEqual(books.querySa("outbound", spiOf("left", "outbound"))?.packets, 4);
    books.installPolicy({ ...policyOf(left, { keys: gcm }), action: { kind: "discard" } });
    const [before] = await policies();
    deepStrictEqual(told(), []);
    // It waits for another SA than before, so the kernel tells of the next packet.
    notStrictEqual((await policies())[0], before);
  } finally {
    books.flush();
    kernel.close();
  }
}

/** A run that was killed used the kernel, and the next has a TUN device: nothing of the old one takes packets away from it, and what others have stays. */
export async function otherPlaneNext(): Promise<void> {
  enterNetworkNamespace("left");
  const openTun = (natPort: number) =>
    machineFactories.openPlane({ kind: "tun", tunName: "culvert0", tunMtu: 1_400, natPort, outboundWorkers: 1, inboundWorkers: 1, espOffload: false });
  await inside("left", "ip", "route", "add", "10.7.0.0/24", "dev", "out0", "proto", "215");
  const before = await inLeft();
  await killOneThatHolds();
  for (const [family, network] of [
    ["-4", "10.8.0.0/24"],
    ["-6", "fd00:8::/64"],
  ] as const)
    await inside("left", "ip", family, "route", "add", network, "dev", "out0", "proto", "214");
  const remains = await inLeft();
  deepStrictEqual(
    [remains.states.length - before.states.length, remains.policies.length - before.policies.length, remains.routes.length - before.routes.length],
    [2, 3, 2],
  );
  const tun = await openTun(4_500);
  await tun.close();
  deepStrictEqual(await inLeft(), before);
  // What a gateway of ours that runs has is not left.
  const kernels = await XfrmDataPlane.create({ natPort: 4_500 });
  try {
    await kernels.installPolicy({ ...policyOf(left, { keys: gcm }), action: { kind: "discard" } });
    const beside = await openTun(4_600);
    await beside.close();
    strictEqual((await inLeft()).policies.length, before.policies.length + 3);
  } finally {
    await kernels.close();
  }
}

async function inLeft(): Promise<{ readonly states: string[]; readonly policies: string[]; readonly routes: string[] }> {
  const routes = await Promise.all(["-4", "-6"].map((family) => inside("left", "ip", family, "route", "show")));
  return {
    states: await states(),
    policies: await policies(),
    routes: routes.flatMap(({ stdout }) => stdout.split("\n").filter((line) => line.includes("proto 21"))),
  };
}
