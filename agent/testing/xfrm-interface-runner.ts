import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { enterNetworkNamespace } from "../dataplane/ffi/network-namespace.ts";
import { removeLeftovers } from "../dataplane/xfrm/leftovers.ts";
import {
  answered,
  Cases,
  elsewhere,
  flushBoth,
  gcm,
  hmac,
  holdUntilKilled,
  inside,
  installBoth,
  INTERFACE_MTU,
  killOneThatHolds,
  left,
  listen,
  makeNamespaces,
  type Options,
  planeIn,
  type Planes,
  policyOf,
  receiveElsewhere,
  right,
  selectorsOf,
  spiOf,
  states,
} from "./xfrm-pair.ts";

/*
 * Links of everything through xfrm interfaces, between two planes of the kernel (xfrm-pair.ts): routes say what goes through which. Inside addresses of the n-th link are 10.1n.0.1 and
 * 10.2n.0.1, fd00:1n::1 and fd00:2n::1. Prints one JSON object: the name of each case and null, or what went wrong. With `child` it is a plane at the left
 * that holds an interface until it is killed.
 */
const cases = new Cases();
const ECHOES = 5;
const REKEYS = 5;
const first: Options = { keys: gcm, interfaceNumber: 1 };
const second: Options = { keys: gcm, interfaceNumber: 2, generation: 0x100 };

if (process.argv[2] === "child") await holdUntilKilled(first);
else await main();

async function main(): Promise<void> {
  makeNamespaces();
  const planes = { left: await planeIn(left), right: await planeIn(right) };
  const report = (name: string, work: (planes: Planes) => Promise<void>) => cases.report(name, () => work(planes).finally(() => flushBoth(planes)));
  await report("has interfaces in this kernel", async () => {
    strictEqual(planes.left.capabilities.interfacePrefix, "culvertx");
    deepStrictEqual(await interfaces("left"), []);
  });
  await report("takes what a route leads into the interface, of both families, and nothing else", routesAlone);
  await report("carries ESP in UDP, AH and an outer IPv6 through an interface", suites);
  await report("tells two links of everything apart by their routes", twoLinks);
  await report("loses nothing when the SAs are replaced", rekeys);
  await report("keeps the interface when the peer moves", move);
  await report("drops what there is no SA for, tells of it, and lets nothing out in clear", discard);
  await report("makes an interface again that somebody takes away, tells of it, and keeps the SAs", deletion);
  await report("takes the interface away with its last policy, and its routes with it", removal);
  await Promise.all([planes.left.close(), planes.right.close()]);
  await cases.report("leaves ESP to the kernel where a network card is asked and refuses, and says why", refusedByCard);
  await cases.report("removes the interfaces that a killed run left, and touches none of others", leftovers);
  console.log(JSON.stringify(cases.outcomes));
}

async function routesAlone(planes: Planes): Promise<void> {
  await installBoth(planes, first);
  routeInside(1);
  strictEqual(await answered("left", "10.11.0.1", "10.21.0.1", ECHOES), ECHOES);
  strictEqual(await answered("right", "fd00:21::1", "fd00:11::1", ECHOES), ECHOES);
  // By their own routes, past the tunnel, although the selectors match.
  strictEqual(await answered("left", "10.1.0.1", "10.2.0.1", ECHOES), ECHOES);
  strictEqual(await answered("left", left.outside, right.outside, ECHOES), ECHOES);
  strictEqual(await answered("left", left.outside6, right.outside6, ECHOES), ECHOES);
  for (const end of ["left", "right"] as const)
    for (const direction of ["inbound", "outbound"] as const) strictEqual(planes[end].querySa(direction, spiOf(end, direction))?.packets, 2 * ECHOES);
  const [shown = ""] = await interfaces("left");
  match(shown, new RegExp(`culvertx1@NONE: .*mtu ${INTERFACE_MTU} .*if_id 0x43000001`));
  strictEqual((await inside("left", "ip", "-6", "address", "show", "dev", "culvertx1")).stdout, "");
}

async function suites(planes: Planes): Promise<void> {
  const kinds: Partial<Options>[] = [{ encapsulation: "udp", esn: true }, { keys: hmac, protocol: "ah" }, { outer: 6 }];
  for (const kind of kinds) {
    await installBoth(planes, { ...first, ...kind });
    routeInside(1);
    strictEqual(await answered("left", "10.11.0.1", "10.21.0.1", ECHOES), ECHOES, JSON.stringify(kind));
    strictEqual(planes.right.querySa("inbound", spiOf("right", "inbound"))?.packets, ECHOES);
    await flushBoth(planes);
  }
}

async function twoLinks(planes: Planes): Promise<void> {
  await installBoth(planes, first);
  await installBoth(planes, second);
  routeInside(1);
  routeInside(2);
  strictEqual(await answered("left", "10.11.0.1", "10.21.0.1", ECHOES), ECHOES);
  strictEqual(await answered("left", "10.12.0.1", "10.22.0.1", 2 * ECHOES), 2 * ECHOES);
  strictEqual(planes.right.querySa("inbound", spiOf("right", "inbound"))?.packets, ECHOES);
  strictEqual(planes.right.querySa("inbound", spiOf("right", "inbound", second.generation))?.packets, 2 * ECHOES);
}

/** Each end installs the new pair, then sends on it; what the old one was goes when the new one has been used both ways. */
async function rekeys(planes: Planes): Promise<void> {
  await installBoth(planes, first);
  routeInside(1);
  const count = 400;
  const pinging = inside("left", "ping", "-n", "-q", "-I", "10.11.0.1", "-c", String(count), "-i", "0.01", "10.21.0.1");
  const heard = { left: listen(planes.left), right: listen(planes.right) };
  for (const end of ["left", "right"] as const) await heard[end].next("firstInboundPacket");
  for (let generation = 1; generation <= REKEYS; generation++) {
    const used = [heard.left.next("firstInboundPacket"), heard.right.next("firstInboundPacket")];
    await installBoth(planes, { ...first, generation });
    await Promise.all(used);
    for (const end of ["left", "right"] as const)
      for (const direction of ["outbound", "inbound"] as const) await planes[end].deleteSa(direction, spiOf(end, direction, generation - 1));
  }
  const { stdout } = await pinging;
  match(stdout, new RegExp(`${count} received, 0% packet loss`));
}

async function move(planes: Planes): Promise<void> {
  await installBoth(planes, first);
  routeInside(1);
  strictEqual(await answered("left", "10.11.0.1", "10.21.0.1", ECHOES), ECHOES);
  await receiveElsewhere(planes, first);
  await planes.left.updateSa("outbound", spiOf("left", "outbound"), elsewhere);
  const moved = (await states()).filter((state) => state.includes("dst 192.0.2.3"));
  strictEqual(moved.length, 1);
  match(moved[0]!, /if_id 0x43000001/);
  match((await inside("left", "ip", "xfrm", "policy", "list", "dir", "out")).stdout, /dst 192\.0\.2\.3[^]*if_id 0x43000001/);
  strictEqual(await answered("left", "10.11.0.1", "10.21.0.1", ECHOES), ECHOES);
  strictEqual(planes.right.querySa("inbound", spiOf("left", "outbound"))?.packets, ECHOES);
}

async function discard(planes: Planes): Promise<void> {
  await installBoth(planes, first);
  routeInside(1);
  strictEqual(await answered("left", "10.11.0.1", "10.21.0.1", ECHOES), ECHOES);
  const heard = listen(planes.left);
  const before = await receivedAtRight();
  await planes.left.installPolicy({ id: "child1", interfaceNumber: 1, ...selectorsOf(left, first), action: { kind: "discard" } });
  strictEqual(await answered("left", "10.11.0.1", "10.21.0.1", 2), 0);
  deepStrictEqual(await heard.next("acquire"), { kind: "acquire", policyId: "child1" });
  strictEqual(await receivedAtRight(), before);
}

async function deletion(planes: Planes): Promise<void> {
  await installBoth(planes, first);
  await installBoth(planes, second);
  for (const link of [1, 2]) routeInside(link);
  const heard = listen(planes.left);
  const before = await interfaces("left");
  const reason = "the interface culvertx1 was taken away";
  await inside("left", "ip", "link", "delete", "culvertx1");
  deepStrictEqual(await heard.next("deviceReplaced"), { kind: "deviceReplaced", reason });
  routeInside(1);
  strictEqual(await answered("left", "10.11.0.1", "10.21.0.1", ECHOES), ECHOES);
  // Elsewhere it keeps its if_id, and there is no second one.
  await inside("left", "ip", "link", "set", "culvertx1", "netns", "right", "name", "moved");
  deepStrictEqual(await heard.next("deviceLost"), {
    kind: "deviceLost",
    reason: `${reason}: the kernel refused the interface culvertx1: another one is there already`,
  });
  strictEqual(await answered("left", "10.12.0.1", "10.22.0.1", ECHOES), ECHOES);
  await inside("right", "ip", "link", "delete", "moved");
  deepStrictEqual(await heard.next("deviceReplaced"), { kind: "deviceReplaced", reason });
  routeInside(1);
  strictEqual(await answered("left", "10.11.0.1", "10.21.0.1", ECHOES), ECHOES);
  strictEqual(planes.left.querySa("inbound", spiOf("left", "inbound"))?.packets, 2 * ECHOES);
  deepStrictEqual((await interfaces("left")).map(withoutIndex).toSorted(), before.map(withoutIndex).toSorted());
}

function withoutIndex(shown: string): string {
  return shown.replace(/^\d+: /, "");
}

async function removal(planes: Planes): Promise<void> {
  await installBoth(planes, first);
  await installBoth(planes, second);
  routeInside(1);
  routeInside(2);
  await planes.left.installPolicy({ ...policyOf(left, first), id: "another of the link" });
  await planes.left.deletePolicy("child1");
  strictEqual((await interfaces("left")).length, 2);
  await planes.left.deletePolicy("another of the link");
  const [rest = "", ...more] = await interfaces("left");
  match(rest, /culvertx2@/);
  deepStrictEqual(more, []);
  const routes = (await inside("left", "ip", "route")).stdout;
  ok(routes.includes("10.22.0.0/24 dev culvertx2") && !routes.includes("10.21.0.0/24"), routes);
  await planes.left.flush();
  deepStrictEqual(await interfaces("left"), []);
}

/** A bond says of itself that it takes ESP, and asks its slave, which takes none. */
async function refusedByCard(): Promise<void> {
  const outside = { left: "192.0.3.1", right: "192.0.3.2" };
  const batch = [
    "link add card0 type veth peer name card0 netns right",
    "link add bond9 type bond mode active-backup",
    "link set card0 master bond9",
    "link set bond9 up",
    `address add ${outside.left}/24 dev bond9`,
  ];
  execFileSync("ip", ["-n", "left", "-batch", "-"], { input: `${batch.join("\n")}\n` });
  execFileSync("ip", ["-n", "right", "-batch", "-"], { input: `link set card0 up\naddress add ${outside.right}/24 dev card0\n` });
  const planes = { right: await planeIn(right), left: await planeIn(left, { espOffload: true }) };
  const said = () => planes.left.capabilities.reason.replace(/^.*; /, "");
  strictEqual(said(), "offload to a network card wanted");
  const kinds: readonly [Partial<Options>, RegExp][] = [
    [{}, /wanted: 2 SAs by the kernel \(the device that leads to the peer takes none\)$/],
    [{ outside }, /wanted: 2 SAs by the kernel \(the kernel refused the SA: /],
    [{ outside, esn: true }, /wanted: 2 SAs by the kernel \(the kernel refused the SA: /],
    [{ encapsulation: "udp" }, /wanted: 2 SAs by the kernel \(in UDP\)$/],
    [{ keys: hmac, protocol: "ah" }, /wanted: 2 SAs by the kernel \(AH\)$/],
  ];
  for (const [kind, sentence] of kinds) {
    await installBoth(planes, { ...first, ...kind });
    match(said(), sentence);
    routeInside(1);
    strictEqual(await answered("left", "10.11.0.1", "10.21.0.1", ECHOES), ECHOES, said());
    strictEqual(planes.left.querySa("outbound", spiOf("left", "outbound"))?.packets, ECHOES);
    await flushBoth(planes);
  }
  await Promise.all([planes.left.close(), planes.right.close()]);
}

async function leftovers(): Promise<void> {
  // One of another program's, one with a name like ours, one with an if_id like ours.
  const foreign = [
    ["someone", "7"],
    ["culvertx9", "9"],
    ["another", "0x43000005"],
  ] as const;
  for (const [name, ifId] of foreign) await inside("left", "ip", "link", "add", name, "type", "xfrm", "if_id", ifId);
  const before = await interfaces("left");
  strictEqual(before.length, foreign.length);
  await killOneThatHolds();
  strictEqual((await interfaces("left")).length, before.length + 1);
  // For a plane that has no use for them.
  enterNetworkNamespace("left");
  await removeLeftovers(() => Promise.resolve());
  deepStrictEqual([await interfaces("left"), await states()], [before, []]);
  await killOneThatHolds();
  strictEqual((await interfaces("left")).length, before.length + 1);
  const plane = await planeIn(left);
  deepStrictEqual(await interfaces("left"), before);
  await rejects(plane.installPolicy({ ...policyOf(left, { ...first, interfaceNumber: 5 }), action: { kind: "discard" } }), /refused the interface culvertx5/);
  await plane.installPolicy({ ...policyOf(left, first), action: { kind: "discard" } });
  strictEqual((await interfaces("left")).length, before.length + 1);
  await plane.close();
  deepStrictEqual(await interfaces("left"), before);
  deepStrictEqual(await states(), []);
}

/** Addresses of the link's own at both ends, and routes to them into its interface. */
function routeInside(link: number): void {
  for (const [me, peer, name] of [
    [1, 2, "left"],
    [2, 1, "right"],
  ] as const) {
    const batch = [
      `address replace 10.${me}${link}.0.1/32 dev lo`,
      `address replace fd00:${me}${link}::1/128 dev lo nodad`,
      `route replace 10.${peer}${link}.0.0/24 dev culvertx${link}`,
      `route replace fd00:${peer}${link}::/64 dev culvertx${link}`,
    ];
    // One process for all: each takes a third of a second there.
    execFileSync("ip", ["-n", name, "-batch", "-"], { input: `${batch.join("\n")}\n` });
  }
}

async function interfaces(namespace: string): Promise<string[]> {
  const { stdout } = await inside(namespace, "ip", "-o", "-d", "link", "show", "type", "xfrm");
  return stdout.split("\n").filter((line) => line !== "");
}

/** IPv4 packets that have come to the right, in whatever form. */
async function receivedAtRight(): Promise<number> {
  const { stdout } = await inside("right", "cat", "/proc/net/snmp");
  const [names = [], values = []] = stdout
    .split("\n")
    .filter((line) => line.startsWith("Ip:"))
    .map((line) => line.split(" "));
  return Number(values[names.indexOf("InReceives")]);
}
