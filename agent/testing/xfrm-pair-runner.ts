import { deepStrictEqual, match, ok, rejects, strictEqual } from "node:assert/strict";
import { enterNetworkNamespace } from "../dataplane/ffi/network-namespace.ts";
import { XfrmDataPlane } from "../dataplane/xfrm/xfrm-data-plane.ts";
import { parseSelector } from "../ipsec/traffic-selector.ts";
import { staticKeys } from "./static-keys.ts";
import { narrowed, withoutSa } from "./xfrm-claims.ts";
import { deletedByOthers, deletedInSilence, lossOfEvents, otherPlaneNext, placeTaken, policiesDeleted, workerDies } from "./xfrm-disturbances.ts";
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
  killOneThatHolds,
  left,
  listen,
  makeNamespaces,
  type Options,
  planeIn,
  type Planes,
  policies,
  policyOf,
  receiveElsewhere,
  right,
  saOf,
  selectorsOf,
  spiOf,
  states,
} from "./xfrm-pair.ts";

/*
 * What passes between two planes of the kernel (xfrm-pair.ts), and what they tell of it. Prints one JSON object: the name of each case and null, or what
 * went wrong. With `child` it is a plane at the left that holds an SA and a policy until it is killed.
 */
const cases = new Cases();
const report = cases.report.bind(cases);

const suites: Readonly<Record<string, Options>> = {
  "ESP in a tunnel with AES-GCM": { keys: gcm },
  "ESP in a tunnel with AES-GCM and ESN, window of 4,096": { keys: gcm, esn: true, window: 4_096 },
  "ESP in UDP with AES-CBC and HMAC": { keys: (spi) => staticKeys("aes256-sha256", spi), encapsulation: "udp" },
  "ESP with ChaCha20-Poly1305": { keys: (spi) => staticKeys("chacha20poly1305", spi) },
  "ESP with AES-CCM": { keys: (spi) => staticKeys("aes128ccm16", spi) },
  "ESP with AES-CTR and HMAC": { keys: (spi) => staticKeys("aes128ctr-sha256", spi) },
  "IPv4 in IPv6": { keys: gcm, outer: 6 },
  "IPv6 in IPv4": { keys: gcm, inner: 6 },
  "IPv6 in IPv6 in UDP": { keys: gcm, inner: 6, outer: 6, encapsulation: "udp" },
  "ESP in transport mode": { keys: gcm, mode: "transport", esn: true },
  "ESP in transport mode over IPv6": { keys: gcm, mode: "transport", outer: 6, inner: 6 },
  "AH in a tunnel": { keys: hmac, protocol: "ah" },
  "AH in a tunnel with ESN over IPv6": { keys: hmac, protocol: "ah", esn: true, outer: 6 },
  "AH in transport mode": { keys: hmac, protocol: "ah", mode: "transport" },
};

if (process.argv[2] === "child") await holdUntilKilled({ keys: gcm });
else await main();

async function main(): Promise<void> {
  makeNamespaces();
  const planes = { left: await planeIn(left), right: await planeIn(right) };
  for (const [name, options] of Object.entries(suites)) {
    await report(`carries echoes both ways: ${name}`, async () => {
      await installBoth(planes, options);
      const [from, to] = endsOf(options);
      strictEqual(await answered("left", from, to, 5), 5);
      strictEqual(await answered("right", to, from, 5), 5);
      for (const end of ["left", "right"] as const)
        for (const direction of ["inbound", "outbound"] as const) strictEqual(planes[end].querySa(direction, spiOf(end, direction))?.packets, 10);
    });
    await flushBoth(planes);
  }
  await report("tells of the first packet of an inbound SA, once", () => firstPacket(planes).finally(() => flushBoth(planes)));
  await report("raises soft and hard expiry, keeps the counters, and passes nothing more", () => expiry(planes).finally(() => flushBoth(planes)));
  await report("drops what a discarding policy matches and tells of it, again a second later", () => acquire(planes).finally(() => flushBoth(planes)));
  await report("lets nothing through beside the SA of what the peer has not taken", () => narrowed(planes).finally(() => flushBoth(planes)));
  await report("takes nothing in clear of what a link is for, and counts it, while there is no SA", () => withoutSa(planes).finally(() => flushBoth(planes)));
  await report("says that an SA is over when somebody deletes it", () => deletedByOthers(planes).finally(() => flushBoth(planes)));
  await report("says so too when nothing is sent", () => deletedInSilence(planes).finally(() => flushBoth(planes)));
  await report("puts policies back that somebody deletes", () => policiesDeleted(planes).finally(() => flushBoth(planes)));
  await report("leaves another program's policy in the place of one of ours, when it is rekeyed and when it ends", () =>
    placeTaken(planes).finally(() => flushBoth(planes)),
  );
  await report("moves an outbound SA to another address, its counters with it", () => move(planes).finally(() => flushBoth(planes)));
  await report("follows a peer whose port changes, and tells once", () => mapping(planes).finally(() => flushBoth(planes)));
  await report("keeps a local network's packets in when the remote one is everything", () => exceptions(planes).finally(() => flushBoth(planes)));
  await report("says whether links of everything have interfaces, and takes no policy for one where there is none", async () => {
    const { interfacePrefix, reason } = planes.left.capabilities;
    strictEqual(interfacePrefix === undefined, reason.includes("policies alone steer what goes to everywhere"));
    if (interfacePrefix === undefined)
      await rejects(planes.left.installPolicy(policyOf(left, { keys: gcm, interfaceNumber: 1 })), /no xfrm interfaces|not installed/);
  });
  await report("loses nothing when its listening worker dies, and says when it dies too often", () => workerDies(planes).finally(() => flushBoth(planes)));
  await report("is one in a network namespace, and says so", async () => {
    enterNetworkNamespace("left");
    await rejects(XfrmDataPlane.create({ natPort: 4_600 }), /another gateway of ours/);
  });
  await Promise.all([planes.left.close(), planes.right.close()]);
  await report("finds what the kernel could not tell: limits that were reached, packets that were discarded", lossOfEvents);
  await report("removes what a killed run left, its policies last, and touches nothing of others", leftovers);
  await report("leaves nothing of a killed run to one with a TUN device", otherPlaneNext);
  console.log(JSON.stringify(cases.outcomes));
}

async function firstPacket(planes: Planes): Promise<void> {
  await installBoth(planes, { keys: gcm });
  const heard = listen(planes.right);
  await answered("left", "10.1.0.1", "10.2.0.1", 3);
  const event = await heard.next("firstInboundPacket");
  deepStrictEqual(event, { kind: "firstInboundPacket", childSaId: "child", spi: spiOf("right", "inbound") });
  await answered("left", "10.1.0.1", "10.2.0.1", 3);
  strictEqual(heard.all.filter(({ kind }) => kind === "firstInboundPacket").length, 1);
}

async function expiry(planes: Planes): Promise<void> {
  await installBoth(planes, { keys: gcm, lifetimes: { softPackets: 3, hardPackets: 6 } });
  const heard = listen(planes.left);
  await answered("left", "10.1.0.1", "10.2.0.1", 10);
  deepStrictEqual(await heard.next("expire"), { kind: "expire", childSaId: "child", spi: spiOf("left", "outbound"), hard: false });
  deepStrictEqual(await heard.next("expire"), { kind: "expire", childSaId: "child", spi: spiOf("left", "outbound"), hard: true });
  strictEqual(planes.left.querySa("outbound", spiOf("left", "outbound"))?.packets, 6);
  strictEqual(await answered("left", "10.1.0.1", "10.2.0.1", 2), 0);
}

async function acquire(planes: Planes): Promise<void> {
  const selectors = { localSelectors: [parseSelector(left.network)], remoteSelectors: [parseSelector(right.network)] };
  const heard = listen(planes.left);
  await planes.left.installPolicy({ id: "link/net", ...selectors, action: { kind: "discard" } });
  for (let times = 0; times < 2; times++) {
    const told = heard.next("acquire");
    let isTold = false;
    void told.then(() => {
      isTold = true;
    });
    while (!isTold) strictEqual(await answered("left", "10.1.0.1", "10.2.0.1", 1), 0);
    deepStrictEqual(await told, { kind: "acquire", policyId: "link/net" });
  }
  await planes.left.deletePolicy("link/net");
  strictEqual(await answered("left", "10.1.0.1", "10.2.0.1", 3), 3);
}

async function move(planes: Planes): Promise<void> {
  for (const encapsulation of ["none", "udp"] as const) {
    await installBoth(planes, { keys: gcm, esn: true, encapsulation });
    strictEqual(await answered("left", "10.1.0.1", "10.2.0.1", 5), 5);
    const spi = spiOf("left", "outbound");
    await receiveElsewhere(planes, { keys: gcm, esn: true, encapsulation });
    const before = await stateOf("left", spi);
    await planes.left.updateSa("outbound", spi, elsewhere);
    const after = await stateOf("left", spi);
    match(after, /dst 192\.0\.2\.3/);
    ok(sequenceOf(after) > sequenceOf(before), `${before}\nbecame\n${after}`);
    strictEqual(planes.left.querySa("outbound", spi)?.packets, 5);
    match((await inside("left", "ip", "xfrm", "policy", "list", "dir", "out")).stdout, /dst 192\.0\.2\.3/);
    // With its key, which the peer's window takes as the next numbers of the same SA.
    strictEqual(await answered("left", "10.1.0.1", "10.2.0.1", 5), 5);
    strictEqual(planes.left.querySa("outbound", spi)?.packets, 10);
    strictEqual(planes.right.querySa("inbound", spi)?.packets, 5);
    await flushBoth(planes);
  }
}

async function mapping(planes: Planes): Promise<void> {
  await installBoth(planes, { keys: gcm, encapsulation: "udp" });
  const heard = listen(planes.left);
  const behindNat = { keys: gcm, encapsulation: "udp" } as const;
  await planes.right.flush();
  await planes.right.installSa(saOf(right, "inbound", behindNat));
  await planes.right.installSa({ ...saOf(right, "outbound", { keys: gcm, encapsulation: "udp" }), local: { address: right.outside, port: 4_777 } });
  await planes.right.installPolicy({ id: "child", ...selectorsOf(right, behindNat), action: { kind: "protect", spi: spiOf("right", "outbound") } });
  await answered("left", "10.1.0.1", "10.2.0.1", 5);
  const remote = { address: right.outside, port: 4_777 };
  deepStrictEqual(await heard.next("natMappingChanged"), { kind: "natMappingChanged", childSaId: "child", spi: spiOf("left", "inbound"), remote });
  strictEqual(await answered("left", "10.1.0.1", "10.2.0.1", 5), 5);
  strictEqual(heard.all.filter(({ kind }) => kind === "natMappingChanged").length, 1);
}

async function exceptions(planes: Planes): Promise<void> {
  const everything = { localSelectors: [parseSelector(left.network)], remoteSelectors: [parseSelector("0.0.0.0/0")] };
  await planes.left.installPolicy({ id: "link/all", ...everything, action: { kind: "discard" } });
  strictEqual(await answered("left", "10.1.0.1", "10.1.0.2", 2), 2);
  strictEqual(await answered("left", "10.1.0.1", "192.0.2.2", 2), 0);
  await planes.left.deletePolicy("link/all");
  deepStrictEqual(await policies(), []);
}

async function leftovers(): Promise<void> {
  const foreignState = ["src", "192.0.2.1", "dst", "192.0.2.9", "proto", "esp", "spi", "0x99", "reqid", "7", "mode", "tunnel"];
  await inside("left", "ip", "xfrm", "state", "add", ...foreignState, "aead", "rfc4106(gcm(aes))", `0x${"11".repeat(20)}`, "128");
  await inside(
    "left",
    "ip",
    "xfrm",
    "policy",
    "add",
    "src",
    "10.1.0.0/24",
    "dst",
    "10.9.0.0/24",
    "dir",
    "out",
    "tmpl",
    "dst",
    "192.0.2.9",
    "proto",
    "esp",
    "reqid",
    "7",
    "mode",
    "tunnel",
  );
  const foreign = { states: await states(), policies: await policies() };
  await killOneThatHolds();
  strictEqual((await states()).length, foreign.states.length + 2);
  const plane = await planeIn(left);
  deepStrictEqual(await states(), foreign.states);
  // What they keep in is still kept in: there is no SA, and nothing goes in clear.
  strictEqual(await answered("left", "10.1.0.1", "10.2.0.1", 2), 0);
  await rejects(
    plane.installPolicy({
      id: "p",
      localSelectors: [parseSelector(left.network)],
      remoteSelectors: [parseSelector("10.9.0.0/24")],
      action: { kind: "discard" },
    }),
    /another program has a policy/,
  );
  await plane.deletePolicy("p");
  await plane.installPolicy({
    id: "q",
    localSelectors: [parseSelector(left.network)],
    remoteSelectors: [parseSelector(right.network)],
    action: { kind: "discard" },
  });
  await plane.close();
  deepStrictEqual({ states: await states(), policies: await policies() }, foreign);
}

/** The two addresses that echoes are sent between. */
function endsOf({ mode, inner, outer }: Options): [string, string] {
  if (mode === "transport") return outer === 6 ? [left.outside6, right.outside6] : [left.outside, right.outside];
  return inner === 6 ? ["fd00:1::1", "fd00:2::1"] : ["10.1.0.1", "10.2.0.1"];
}

async function stateOf(namespace: string, spi: number): Promise<string> {
  const { stdout } = await inside(namespace, "ip", "-s", "xfrm", "state", "list", "nokeys");
  return stdout.split(/^(?=src )/m).find((state) => state.includes(`spi 0x${spi.toString(16).padStart(8, "0")}`)) ?? stdout;
}

function sequenceOf(state: string): number {
  return Number.parseInt(/oseq-hi 0x[0-9a-f]+, oseq 0x([0-9a-f]+)|oseq 0x([0-9a-f]+)/.exec(state)?.slice(1).find(Boolean) ?? "", 16);
}
