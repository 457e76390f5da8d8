import { deepEqual, doesNotMatch, equal, match, notEqual } from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Agent } from "../../lib/agent.ts";
import { exitOnSignals } from "../../lib/cleanup.ts";
import { makeThreeNamespaces, type Namespace } from "../../lib/namespaces.ts";
import { ping } from "../../lib/traffic.ts";
import { pollUntil } from "../../lib/poll.ts";
import { Context, expectNewChild, expectTraffic, linkId, withoutLoss } from "../scenario.ts";

/*
 * Two gateways as users run them, with a link of everything through an xfrm interface of the kernel at each end: for a machine that qemu plays. Each case begins where the one before ended.
 * Prints one JSON object: the name of each case and null, or what went wrong; after that nothing is tried.
 */
const everything = ["0.0.0.0/0"];
const children = [{ name: "net", localNetworks: everything, remoteNetworks: everything }];
/** Beside this program in the machine: guest-image.ts. */
const program = { program: join(import.meta.dirname, "agent/main.mjs") };
/** Of the network behind the peer, and one that the middle alone has. */
const beyond = "203.0.113.1";
const between = "198.18.0.1";
const UP_MS = 60_000;
/** Each costs such a machine some milliseconds. */
const ECHO_SECONDS = 0.05;
/** How what is ours is told from the rest: an SA, policy or interface by its if_id, a route by its protocol or device. */
const ours = /if_id 0x43| proto 214| dev culvertx/;

exitOnSignals();
const directory = "/tmp/gateways";
mkdirSync(directory);
const net = await makeThreeNamespaces();
const context = new Context(net, directory, "kernel");
let foreign = "";
let left: Agent;
let right: Agent;

const cases: Readonly<Record<string, () => Promise<void>>> = {
  "a link of everything comes up, and routes decide": comesUp,
  "nothing is lost when Child SAs and IKE SAs are rekeyed from either end": rekeyed,
  "an interface that somebody deletes is made again, with its routes, under the same SAs": interfaceDeleted,
  "the outside interface goes down and up, and its default route comes later: the peer is outside of the interface again": outsideDown,
  "SAs that somebody flushes are negotiated anew": flushed,
  "a gateway that is killed is up again with another start": killed,
  "gateways that are told to end leave what is of others": ended,
};
const outcomes: Record<string, string | null> = {};
for (const [name, work] of Object.entries(cases)) {
  outcomes[name] = await work().then(
    () => null,
    (error: unknown) => `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n${context.logs().us}`,
  );
  if (outcomes[name] !== null) break;
}
await context.close();
console.log(JSON.stringify(outcomes));
// A gateway that never answered runs on: it is ended with this.
process.exit();

async function comesUp(): Promise<void> {
  await net.right.run(["ip", "address", "add", `${beyond}/32`, "dev", "in0"]);
  await net.middle.run(["ip", "address", "add", `${between}/32`, "dev", "lo"]);
  // What another program has at the left, through the same kernel.
  await net.left.run(["ip", "link", "add", "someone", "type", "xfrm", "if_id", "7"]);
  await net.left.run(["ip", "route", "add", `${between}/32`, "via", "192.0.2.254", "proto", "static"]);
  await net.left.run(["ip", "xfrm", "policy", "add", "src", "10.7.0.0/24", "dst", "10.8.0.0/24", "dir", "out", "action", "block"]);
  foreign = await ofOthers();
  [right, left] = await Promise.all([context.startUsAtRight({ children }, program), context.startUs({ children }, program)]);
  const { ike, child } = await left.waitUntilUp(linkId, UP_MS);
  deepEqual([child.localNetworks, child.remoteNetworks, child.encapsulation, ike.nat], [everything, everything, "none", "none"]);
  await right.waitUntilUp(linkId);
  for (const end of [left, right]) {
    const status = await end.status();
    deepEqual([status.plane, status.planeReason, status.links[0]?.interface], ["kernel", "ESP of the kernel, as configured", "culvertx1"]);
  }
  equal(
    await ourRoutes(),
    ["0.0.0.0/1 dev culvertx1", "128.0.0.0/1 dev culvertx1", "198.51.100.1 via 192.0.2.254 dev out0"].join("\n"),
    "the routes into the interface, and that which keeps the peer outside",
  );
  await expectTraffic(context);
  const through = { sent: 5, received: 5, lost: 0 };
  deepEqual(await ping(net.left, { ...net.right, insideAddress: beyond }), through);
  const before = await packetsOut();
  // By the other program's route, past the tunnel.
  deepEqual(await ping({ ...net.left, insideAddress: net.left.outsideAddress }, { ...net.right, insideAddress: between }), through);
  equal(await packetsOut(), before);
}

async function rekeyed(): Promise<void> {
  let { child } = await left.waitUntilUp(linkId);
  await withoutLoss(
    context,
    async () => {
      for (const end of [left, right]) {
        await end.rekey(linkId, "child");
        child = await expectNewChild(left, child.inboundSpi);
        const { ike } = await end.waitUntilUp(linkId);
        await end.rekey(linkId, "ike");
        await left.waitForLink(linkId, "a new IKE SA", ({ ikeSas }) =>
          ikeSas.some((sa) => sa.state === "established" && sa.spiI !== ike.spiI) ? true : undefined,
        );
      }
    },
    60,
    ECHO_SECONDS,
  );
  await sameAtBothEnds();
}

async function interfaceDeleted(): Promise<void> {
  const before = await sameAtBothEnds();
  const routes = await ourRoutes();
  await net.left.run(["ip", "link", "delete", "culvertx1"]);
  await pollUntil(
    "the interface and its routes to be back",
    10_000,
    async () => ((await ourRoutes()) === routes ? true : undefined),
    () => left.log(),
  );
  match(left.log(), /the interface culvertx1 was taken away: it was made again/);
  await expectTraffic(context);
  deepEqual(await sameAtBothEnds(), before);
}

async function outsideDown(): Promise<void> {
  const before = await sameAtBothEnds();
  const routes = await ourRoutes();
  await net.left.run(["ip", "link", "set", "out0", "down"]);
  await left.waitForLink(linkId, "to say that its peer has no way", ({ lastFailure }) => (lastFailure?.code === "ROUTE" ? true : undefined));
  const undo = ["link set out0 up", "neigh replace 192.0.2.254 lladdr 02:00:00:00:01:fe dev out0 nud permanent"];
  await net.left.run(["ip", "-batch", "-"], { input: `${undo.join("\n")}\n` });
  await pollUntil("the interface to be up", 10_000, async () => ((await net.left.run(["ip", "link", "show", "out0"])).includes("state UP") ? true : undefined));
  await net.left.run(["ip", "-batch", "-"], { input: `route add default via 192.0.2.254\nroute add ${between}/32 via 192.0.2.254 proto static\n` });
  await pollUntil(
    "the peer to be outside again",
    10_000,
    async () => ((await ourRoutes()) === routes ? true : undefined),
    () => left.log(),
  );
  await expectTraffic(context);
  deepEqual(await sameAtBothEnds(), before);
}

async function flushed(): Promise<void> {
  const before = await sameAtBothEnds();
  await net.left.run(["ip", "xfrm", "state", "flush"]);
  // Nothing tells of it but a packet that finds no SA.
  const after = await pollUntil("other SAs", 20_000, async () => {
    await ping(net.left, net.right, { count: 1, waitSeconds: 0.2 });
    const now = await sameAtBothEnds();
    return now[1] === before[1] ? undefined : now;
  });
  equal(after[0], before[0], "the IKE SA is the same");
  await expectTraffic(context);
}

async function killed(): Promise<void> {
  const before = await sameAtBothEnds();
  await left.kill();
  // The kernel goes on without us.
  await expectTraffic(context);
  left = await context.startUs({ children }, program);
  await left.waitUntilUp(linkId, UP_MS);
  const after = await sameAtBothEnds();
  for (const [index, spi] of before.entries()) notEqual(after[index], spi);
  await expectTraffic(context);
  equal(await ofOthers(), foreign);
}

async function ended(): Promise<void> {
  await left.stop();
  await right.waitForLink(linkId, "to hear of it", ({ ikeSas }) => (ikeSas.length === 0 ? true : undefined));
  await right.stop();
  equal(await ofOthers(), foreign);
  equal(await ourRoutes(), "");
  for (const site of [net.left, net.right]) doesNotMatch((await kernelObjects(site)).join(""), ours);
}

/** The SPIs of the one IKE SA and of the one Child SA, which both ends must have. */
async function sameAtBothEnds(): Promise<string[]> {
  let seen: unknown;
  return pollUntil(
    "both ends to have the same SAs and no others",
    10_000,
    async () => {
      const [a, b] = await Promise.all([spisOf(left, "inboundSpi", "outboundSpi"), spisOf(right, "outboundSpi", "inboundSpi")]);
      seen = { a, b };
      return a.length === 3 && JSON.stringify(a) === JSON.stringify(b) ? a : undefined;
    },
    () => JSON.stringify(seen),
  );
}

async function spisOf(end: Agent, ...directions: readonly ("inboundSpi" | "outboundSpi")[]): Promise<string[]> {
  const { ikeSas } = await end.link(linkId);
  return ikeSas.flatMap(({ spiI, childSas }) => [spiI, ...childSas.flatMap((child) => directions.map((direction) => child[direction]))]);
}

async function packetsOut(): Promise<number | undefined> {
  const { ikeSas } = await left.link(linkId);
  return ikeSas[0]?.childSas[0]?.packetsOut;
}

/** What the left has that is not ours. */
async function ofOthers(): Promise<string> {
  return (await kernelObjects(net.left)).filter((one) => !ours.test(one)).join("");
}

/** Interfaces for ESP, routes, policies and SAs, each by itself. What only holds the place of an SA, without keys, goes by itself; the policies of sockets go with them. */
async function kernelObjects(site: Namespace): Promise<string[]> {
  const show = async (argv: string[], begin: RegExp) => (await site.run(["ip", ...argv])).split(begin);
  const lists = [
    await show(["-o", "-d", "link", "show", "type", "xfrm"], /^/m),
    await show(["route", "show", "table", "all"], /^/m),
    (await show(["xfrm", "policy", "list"], /^(?=src )/m)).filter((policy) => !policy.includes("socket")),
    (await show(["xfrm", "state", "list", "nokeys"], /^(?=src )/m)).filter((state) => /aead|auth|enc /.test(state)),
  ];
  return lists.flat();
}

async function ourRoutes(): Promise<string> {
  const shown = await net.left.run(["ip", "route", "show", "proto", "214"]);
  return shown
    .trim()
    .split("\n")
    .map((line) => line.replace(/ (mtu|src|scope) .*$/, "").trim())
    .join("\n");
}
