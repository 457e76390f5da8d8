import { ok, strictEqual } from "node:assert/strict";
import { enterNetworkNamespace } from "../dataplane/ffi/network-namespace.ts";
import { parseSelector } from "../ipsec/traffic-selector.ts";
import { answered, gcm, inside, installBoth, left, type Planes, policyOf, right } from "./xfrm-pair.ts";

/* What a link is for, and no SA of it carries: cases for two planes (xfrm-pair.ts) that begin without SAs. Only the left one has a link that claims. */

/** An address at the right beside the network that the SAs are for. */
const beside = "10.2.9.1";
/** The last one overlaps what the SAs carry, and is longer: what is refused stays behind what is protected, whatever is longer. */
const claims = { localSelectors: [parseSelector("10.1.0.0/16")], remoteSelectors: ["10.2.0.0/16", "10.2.0.0/25"].map(parseSelector) };

/** The peer has taken less than the link is for: the rest passes neither way, until it is nobody's. */
export async function narrowed(planes: Planes): Promise<void> {
  await installBoth(planes, { keys: gcm });
  await withRouteBeside(async () => {
    strictEqual(await answered("left", "10.1.0.1", beside, 2), 2);
    await planes.left.installPolicy({ ...policyOf(left, { keys: gcm }), claims });
    strictEqual(await answered("left", "10.1.0.1", beside, 2), 0);
    await expectNoneComesIn(planes);
    strictEqual(await answered("left", "10.1.0.1", "10.2.0.1", 3), 3);
    strictEqual(await answered("right", "10.2.0.1", "10.1.0.1", 3), 3);
    // The whole of it, and less again: what decides is replaced, never away.
    await planes.left.installPolicy({ ...policyOf(left, { keys: gcm }), ...claims });
    await planes.left.installPolicy({ ...policyOf(left, { keys: gcm }), claims });
    strictEqual(await answered("left", "10.1.0.1", beside, 2), 0);
    strictEqual(await answered("left", "10.1.0.1", "10.2.0.1", 3), 3);
    await planes.left.deletePolicy("child");
    strictEqual(await answered("left", "10.1.0.1", beside, 2), 2);
  });
}

/** RFC 4301 §5.2: what the policy wants protected does not come in unprotected, also while there is no SA. */
export async function withoutSa(planes: Planes): Promise<void> {
  await withRouteBeside(async () => {
    const before = await echoesTaken();
    strictEqual(await answered("right", beside, "10.1.0.1", 2), 2);
    strictEqual((await echoesTaken()) - before, 2);
    await planes.left.installPolicy({ id: "link/net", ...claims, action: { kind: "discard" } });
    await expectNoneComesIn(planes);
    await planes.left.deletePolicy("link/net");
    strictEqual(await answered("right", beside, "10.1.0.1", 2), 2);
  });
}

async function expectNoneComesIn(planes: Planes): Promise<void> {
  // Its statistics are those of the namespace that this thread is in.
  enterNetworkNamespace(left.name);
  const before = { taken: await echoesTaken(), dropped: planes.left.globalDrops().policy };
  strictEqual(await answered("right", beside, "10.1.0.1", 2), 0);
  strictEqual(await echoesTaken(), before.taken);
  ok(planes.left.globalDrops().policy >= before.dropped + 2);
}

/** Echo requests that the left's ICMP was given: not what its policies have dropped, nor what it could not answer. */
async function echoesTaken(): Promise<number> {
  const { stdout } = await inside("left", "cat", "/proc/net/snmp");
  const [names = [], values = []] = stdout
    .split("\n")
    .filter((line) => line.startsWith("Icmp:"))
    .map((line) => line.split(/\s+/));
  return Number(values[names.indexOf("InEchos")]);
}

async function withRouteBeside(work: () => Promise<void>): Promise<void> {
  await inside("right", "ip", "address", "add", `${beside}/32`, "dev", "lo");
  await inside("left", "ip", "route", "add", beside, "via", right.outside, "src", "10.1.0.1");
  try {
    await work();
  } finally {
    await inside("left", "ip", "route", "del", beside);
    await inside("right", "ip", "address", "del", `${beside}/32`, "dev", "lo");
  }
}
