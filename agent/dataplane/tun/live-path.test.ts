import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { inNamespace, ip, LivePair, until } from "../../testing/live-gateways.ts";
import { parseAddress } from "../../wire/address.ts";

const isRoot = process.getuid?.() === 0;
const asRoot = isRoot || process.env["CI"] === "true" ? test : test.skip;
const families = { 4: new LivePair("t4"), 6: new LivePair("t6", 6) } as const;
const ICMPV6 = 58;
const STREAM_OCTETS = 2 << 20;

function outsideMtu({ left, right }: LivePair, octets: number): void {
  for (const { namespace } of [left, right]) ip("-n", namespace, "link", "set", "out0", "mtu", String(octets));
}

/** IPv6 fragments that this namespace's kernel made. */
async function fragmentsMade(namespace: string): Promise<number> {
  const { stdout } = await inNamespace(namespace, "cat", "/proc/net/snmp6");
  return Number(/^Ip6FragCreates\s+(\d+)$/m.exec(stdout)?.[1]);
}

/** IPv4 packets that this namespace's kernel has put together. */
async function packetsPutTogether(namespace: string): Promise<number> {
  const { stdout } = await inNamespace(namespace, "cat", "/proc/net/snmp");
  const [names, values] = stdout.split("\n").filter((line) => line.startsWith("Ip:"));
  return Number(values?.split(" ")[names?.split(" ").indexOf("ReasmOKs") ?? 0]);
}

/** "Packet too big" (RFC 4443 §3.2) about a datagram between these addresses' NAT-T ports, of which it quotes no SPI that was ever used. */
function packetTooBig(source: string, destination: string, mtu: number): string {
  const hex = (octets: Uint8Array | readonly number[]) => Buffer.from(octets).toString("hex");
  const addresses = [source, destination].map((address) => hex(parseAddress(address)!)).join("");
  return `02000000${mtu.toString(16).padStart(8, "0")}60000000${"05b41140"}${addresses}${"1194119405b40000"}${"0bad0bad00000001"}`;
}

describe("what the outside takes", () => {
  beforeAll(() => {
    if (isRoot) for (const pair of Object.values(families)) pair.makeNamespaces();
  });
  afterEach(async () => {
    for (const pair of Object.values(families)) await pair.endGateways();
  });
  afterAll(() => {
    if (isRoot) for (const pair of Object.values(families)) pair.removeNamespaces();
  });

  asRoot.each([4, 6] as const)("is less than a packet of a TCP stream, by the interface (IPv%i): fragments arrive, and nothing is dropped", async (family) => {
    const pair = families[family];
    const gateways = await pair.startBoth();
    outsideMtu(pair, 1_400);
    try {
      await pair.mirroredStream(STREAM_OCTETS);
      const counted = await Promise.all(gateways.map((gateway) => gateway.counters()));
      for (const { outbound } of counted) expect(outbound.drops).toMatchObject({ tooBig: 0, unsent: 0 });
    } finally {
      outsideMtu(pair, 1_500);
    }
  });

  asRoot("becomes less than a segment of a TCP stream that allows fragments: each goes in two, and nothing is dropped", async () => {
    const pair = families[4];
    const { left, right } = pair;
    const [l] = await pair.startBoth();
    const dontSearch = (value: 0 | 1) => inNamespace(left.namespace, "bash", "-c", `echo ${value} > /proc/sys/net/ipv4/ip_no_pmtu_disc`);
    await dontSearch(1);
    try {
      const before = await packetsPutTogether(right.namespace);
      const stream = pair.mirroredStream(32 << 20);
      await until("the stream to run", async () => (await l.counters()).outbound.packets > 500);
      await l.narrow();
      await stream;
      expect((await l.counters()).outbound.drops).toMatchObject({ tooBig: 0, unsent: 0 });
      expect((await packetsPutTogether(right.namespace)) - before).toBeGreaterThan(100);
    } finally {
      await dontSearch(0);
    }
  });

  asRoot("is not what anyone says over IPv6 who knows addresses and ports: the kernel cuts nothing for a forged word", async () => {
    const pair = families[6];
    const { left, right } = pair;
    const [l] = await pair.startBoth();
    const before = await fragmentsMade(left.namespace);
    await pair.fireRaw(ICMPV6, [packetTooBig(left.outside, right.outside, 1_280)]);
    // It has come, and the control plane is asked what it is worth.
    await until("word of it", () => l.events().includes("packetTooBig"));
    await pair.mirroredStream(STREAM_OCTETS);
    expect(await fragmentsMade(left.namespace)).toBe(before);
    expect((await l.counters()).outbound.drops).toMatchObject({ tooBig: 0, unsent: 0 });
  });
});
