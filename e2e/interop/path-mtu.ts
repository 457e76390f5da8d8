import { deepEqual, equal, match, ok } from "node:assert/strict";
import { join } from "node:path";
import type { Agent } from "../lib/agent.ts";
import { startCapture } from "../lib/capture.ts";
import type { Site, ThreeNamespaces } from "../lib/namespaces.ts";
import { ping, throughput } from "../lib/traffic.ts";
import { linkId, type Context } from "./scenario.ts";

/** Has the middle pass on no more than `octets` to either site; with `isSilent` it does not say so when it drops what may not be fragmented. */
export async function narrow(net: ThreeNamespaces, octets: number, isSilent: boolean): Promise<void> {
  const { middle } = net;
  for (const [network, device] of [
    ["192.0.2.0/24", "left0"],
    ["198.51.100.0/24", "right0"],
  ] as const)
    await middle.run(["ip", "route", "replace", network, "dev", device, "mtu", String(octets)]);
  if (!isSilent) return;
  const rules =
    "table inet mute {\n chain out {\n  type filter hook output priority 0;\n  icmp type destination-unreachable drop\n  icmpv6 type packet-too-big drop\n }\n}\n";
  await middle.run(["nft", "-f", "-"], { input: rules });
}

/** Waits until the gateway knows how much its path takes. */
export function pathMtuOf(us: Agent, timeoutMilliseconds = 30_000): Promise<number> {
  return us.waitForLink(
    linkId,
    "to know its path's MTU",
    ({ ikeSas }) => ikeSas.find(({ state }) => state === "established")?.pathMtu ?? undefined,
    timeoutMilliseconds,
  );
}

/** UDP, ESP with an IV of 8, an ICV of 16 and at least 2 octets of trailer around what is a multiple of 4. */
export function innerOf(pathMtu: number, outerHeader: 20 | 40): number {
  const content = pathMtu - outerHeader - 8 - 8 - 8 - 16;
  return content - (content % 4) - 2;
}

/** The largest packet that fits passes, one octet more is answered with that size, and a TCP stream goes in packets that nobody had to fragment. */
export async function expectFitted(context: Context, us: Agent, from: Site, to: Site): Promise<void> {
  const pathMtu = await pathMtuOf(us);
  const largest = innerOf(pathMtu, 20);
  const whole = { count: 3, forbidFragments: true };
  equal((await ping(from, to, { ...whole, payloadBytes: largest - 28 })).lost, 0);
  const { stdout, stderr } = await from.try([
    "ping",
    "-n",
    "-M",
    "do",
    "-c",
    "1",
    "-W",
    "1",
    "-I",
    from.insideAddress,
    "-s",
    String(largest - 27),
    to.insideAddress,
  ]);
  match(stdout + stderr, new RegExp(`mtu\\s?=\\s?${largest}`));
  const capture = await startCapture(context.net.middle, from === context.net.left ? "right0" : "left0", join(context.directory, "narrow.pcap"));
  const stream = await throughput(from, to, { seconds: 1, megabitsPerSecond: 50 });
  const packets = await capture.stop();
  ok(stream.bytes > 500_000, `the stream stalled at ${stream.bytes} octets`);
  const fragments = packets.filter(({ ip }) => (ip[0] ?? 0) >> 4 === 4 && (((ip[6] ?? 0) & 0x3f) !== 0 || ip[7] !== 0) && sameAddress(ip, from.outsideAddress));
  deepEqual(fragments.length, 0, "outer packets had to be fragmented");
}

function sameAddress(ip: Uint8Array, address: string): boolean {
  return [...ip.subarray(12, 16)].join(".") === address;
}
