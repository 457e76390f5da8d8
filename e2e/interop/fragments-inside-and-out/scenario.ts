import { equal, ok } from "node:assert/strict";
import { join } from "node:path";
import { addInside } from "../../lib/addresses.ts";
import { startCapture } from "../../lib/capture.ts";
import { pollUntil } from "../../lib/poll.ts";
import { ping } from "../../lib/traffic.ts";
import { narrow, pathMtuOf } from "../path-mtu.ts";
import { linkId, type Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  name: "fragments-inside-and-out",
  description:
    "IPv4 and IPv6 in fragments through a path of 1,300 octets, each way; IPv6 packets of 1,280 octets go in outer fragments, which are put together again",
  async run(context) {
    const { net } = context;
    await narrow(net, 1_300, false);
    const six = { left: await addInside(net.left, "fd00:1::1/64"), right: await addInside(net.right, "fd00:2::1/64") };
    const children = (local: string, remote: string) => [
      { name: "four", localNetworks: [`10.${local}.0.0/24`], remoteNetworks: [`10.${remote}.0.0/24`] },
      { name: "six", localNetworks: [`fd00:${local}::/64`], remoteNetworks: [`fd00:${remote}::/64`] },
    ];
    const right = await context.startUsAtRight({ children: children("2", "1") });
    const left = await context.startUs({ children: children("1", "2") });
    for (const end of [left, right]) {
      await end.waitForLink(linkId, "to have both children", ({ ikeSas }) =>
        ikeSas.some(({ childSas }) => childSas.filter(({ state }) => state === "established").length === 2) ? true : undefined,
      );
      equal(await pathMtuOf(end), 1_300);
    }
    const capture = await startCapture(net.middle, "right0", join(context.directory, "fragments.pcap"));
    for (const ends of [net, six]) {
      for (const [from, to] of [
        [ends.left, ends.right],
        [ends.right, ends.left],
      ] as const) {
        // The second is what every IPv6 link carries whole, which this one cannot. Whoever may not be cut on the way is told the size.
        for (const payloadBytes of [5_000, 1_232]) {
          await pollUntil("both ends to know the size", 5_000, async () =>
            (await ping(from, to, { count: 1, payloadBytes })).received === 1 ? true : undefined,
          );
          equal((await ping(from, to, { count: 5, payloadBytes })).lost, 0);
        }
      }
    }
    const packets = await capture.stop();
    const isFragment = ({ ip }: { readonly ip: Uint8Array }) => (ip[0] ?? 0) >> 4 === 4 && (((ip[6] ?? 0) & 0x3f) !== 0 || ip[7] !== 0);
    ok(packets.some(isFragment), "no outer packet was fragmented");
    for (const end of [left, right]) {
      const { drops } = await end.status();
      equal(drops.malformed + drops.noSa, 0);
    }
  },
};
