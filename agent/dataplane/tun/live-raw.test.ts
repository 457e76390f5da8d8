import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { inNamespace, type LiveGateway, LivePair, until } from "../../testing/live-gateways.ts";

/* ESP and AH that do not go in UDP, through raw sockets over IPv4 and IPv6. */

const isRoot = process.getuid?.() === 0;
const asRoot = isRoot || process.env["CI"] === "true" ? test : test.skip;
const ESP = 50;
const AH = 51;

const kinds = [
  { what: "plain ESP with AES-GCM", suite: "aes128gcm16", protocol: ESP },
  { what: "plain ESP with AES-CBC and HMAC", suite: "aes256-sha256", protocol: ESP },
  { what: "AH with HMAC-SHA-256", suite: "ah-sha256", protocol: AH },
  { what: "AH with HMAC-SHA-512", suite: "ah-sha512", protocol: AH },
];

async function expectNoDrops(...gateways: LiveGateway[]): Promise<void> {
  for (const gateway of gateways) {
    const { inbound, outbound, global } = await gateway.counters();
    for (const drops of [inbound.drops, outbound.drops, global]) expect(Object.entries(drops).filter(([, count]) => count > 0)).toEqual([]);
  }
}

describe.each([4, 6] as const)("over IPv%d", (outerFamily) => {
  const pair = new LivePair(`r${outerFamily}`, outerFamily);
  const { left, right } = pair;

  beforeAll(() => {
    if (isRoot) pair.makeNamespaces();
  });
  afterEach(() => pair.endGateways());
  afterAll(() => {
    if (isRoot) pair.removeNamespaces();
  });

  asRoot.each(kinds)("$what carries echoes, TCP both ways and packets larger than the path", { timeout: 30_000 }, async ({ suite }) => {
    const [l, r] = await pair.startBoth({ suite, encapsulation: "none" });
    const sizes = [0, 1, 15, 1_300];
    expect(await Promise.all(sizes.map((dataOctets) => pair.lostEchoes({ count: 3, dataOctets })))).toEqual(sizes.map(() => []));
    await pair.mirroredStream(2_000_000);
    // May be fragmented, and are: inside, and where an option stands in the way (record route) outside, behind ESP and AH.
    await inNamespace(left.namespace, "ping", "-R", "-M", "dont", "-c", "2", "-i", "0.2", "-W", "5", "-s", "1430", right.inside);
    for (const octets of ["1472", "9000"])
      await inNamespace(left.namespace, "ping", "-M", "dont", "-c", "2", "-i", "0.2", "-W", "5", "-s", octets, right.inside);
    await expectNoDrops(l, r);
  });

  asRoot.each(kinds)("$what loses no echo while both rekey", { timeout: 30_000 }, async ({ suite }) => {
    const [l, r] = await pair.startBoth({ suite, encapsulation: "none", extendedSequenceNumbers: true });
    const losses = pair.lostEchoes({ count: 150 });
    for (let times = 0; times < 2; times++) {
      await until("echoes under these SAs", async () => (await r.counters()).inbound.packets >= 5);
      await Promise.all([l.rekey(), r.rekey()]);
    }
    await until("echoes under the last ones", async () => (await r.counters()).inbound.packets > 0);
    expect(await losses).toEqual([]);
  });
});

describe("on the wire", () => {
  const pair = new LivePair("rw");

  beforeAll(() => {
    if (isRoot) pair.makeNamespaces();
  });
  afterEach(() => pair.endGateways());
  afterAll(() => {
    if (isRoot) pair.removeNamespaces();
  });

  asRoot.each(kinds)("$what is of its own IP protocol and in no UDP, and a replayed or changed packet is dropped and counted", async ({ suite, protocol }) => {
    const [l] = await pair.startBoth({ suite, encapsulation: "none" });
    const packets = await pair.captured(() => pair.lostEchoes({ count: 5, oneByOne: true }), pair.left, "ip proto 50 or ip proto 51 or udp");
    expect(packets.map((packet) => packet[9])).toEqual(packets.map(() => protocol));
    expect(packets).toHaveLength(5);
    expect((await l.counters()).inbound.packets).toBe(5);
    const payloads = packets.map((packet) => packet.subarray(20).toString("hex"));
    await pair.fireRaw(protocol, payloads);
    // Another number, far ahead, under the ICV of the old one: were it marked, all that follows would be too old.
    const at = protocol === ESP ? 8 : 16;
    await pair.fireRaw(
      protocol,
      payloads.map((payload) => `${payload.slice(0, at)}7fffffff${payload.slice(at + 8)}`),
    );
    await pair.fireRaw(protocol, ["00", payloads[0]!.slice(0, 14)]);
    expect(await pair.lostEchoes({ count: 5 })).toEqual([]);
    const { inbound, global } = await l.counters();
    expect(inbound.drops).toMatchObject({ replay: 5, integrity: 5 });
    expect(global.malformed).toBe(2);
    // Five at first, one after each volley, five at the end.
    expect(inbound.packets).toBe(13);
    expect(l.events()).not.toContain("natMappingChanged");
  });
});
