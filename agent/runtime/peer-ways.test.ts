import { expect, test } from "vitest";
import { PeerWays } from "./peer-ways.ts";
import { formatPrefix, hostPrefix, type Prefix } from "./prefix.ts";

const host = hostPrefix("198.51.100.1")!;
const key = formatPrefix(host);
const hop = (gateway: string, dev: string, flags: readonly string[] = []) => ({ gateway, dev, flags });
const ours = [
  { dst: "0.0.0.0/1", dev: "tun7", protocol: "213", flags: [] },
  { dst: "128.0.0.0/1", dev: "tun7", protocol: "213", flags: [] },
  { dst: "198.51.100.1", ...hop("192.0.2.250", "eth0"), protocol: "213" },
  // Somebody's own route into our tunnel.
  { dst: "198.51.0.0/16", dev: "tun7", protocol: "4", flags: [] },
];

/** The kernel answers with our tunnel; its tables hold `shown` beside our own routes. */
function waysIn(shown: readonly object[]) {
  const tables: Record<string, readonly object[]> = { 254: [...ours, ...shown] };
  const kernel = { answer: "198.51.100.1 dev tun7 src 10.1.0.1 uid 0 ", tables };
  const ways = new PeerWays(async (args) => {
    if (args.includes("-batch")) return `${kernel.answer}\n`;
    return JSON.stringify(kernel.tables[args.at(-1)!] ?? []);
  });
  const own = { protocols: new Set(["213", "214"]), devices: new Set(["tun7"]), covers: ({ start }: Prefix) => start === host.start };
  return { kernel, find: async () => (await ways.find(new Map([[key, host]]), own)).get(key) };
}

test.each([
  ["the default route", [{ dst: "default", ...hop("192.0.2.1", "eth0") }], ["192.0.2.1", "eth0"]],
  ["none", [], undefined],
  [
    "the longest match",
    [
      { dst: "default", ...hop("192.0.2.1", "eth0") },
      { dst: "198.51.100.0/24", ...hop("192.0.2.2", "eth1") },
      { dst: "198.51.101.0/24", ...hop("192.0.2.3", "eth2") },
    ],
    ["192.0.2.2", "eth1"],
  ],
  [
    "the lowest metric; none is lower than any",
    [
      { dst: "default", ...hop("192.0.2.3", "wlan0"), metric: 600 },
      { dst: "default", ...hop("192.0.2.2", "eth1"), metric: 100 },
    ],
    ["192.0.2.2", "eth1"],
  ],
  [
    "without a metric",
    [
      { dst: "default", ...hop("192.0.2.3", "wlan0"), metric: 1 },
      { dst: "default", ...hop("192.0.2.2", "eth1") },
    ],
    ["192.0.2.2", "eth1"],
  ],
  [
    "not by an interface that is dead",
    [
      { dst: "default", ...hop("192.0.2.1", "eth0", ["dead", "linkdown"]) },
      { dst: "default", ...hop("192.0.2.3", "wlan0"), metric: 600 },
    ],
    ["192.0.2.3", "wlan0"],
  ],
  [
    "the first of several that is alive",
    [{ dst: "default", flags: [], nexthops: [hop("192.0.2.1", "eth0", ["dead"]), hop("192.0.2.2", "eth1"), hop("192.0.2.3", "eth2")] }],
    ["192.0.2.2", "eth1"],
  ],
  [
    "no further than a route that says there is none",
    [
      { dst: "default", ...hop("192.0.2.1", "eth0") },
      { type: "7", dst: "198.51.100.0/24", flags: [] },
    ],
    undefined,
  ],
  ["one other end", [{ dst: "default", dev: "ppp0", flags: [] }], [null, "ppp0"]],
  ["a gateway of the other family", [{ dst: "default", via: { family: "inet6", host: "fe80::1" }, dev: "eth0", flags: [] }], ["fe80::1", "eth0"]],
])("beside our own routes a peer is reached by %s", async (_, shown, expected) => {
  const way = await waysIn(shown).find();
  if (expected === undefined) expect(way).toBeUndefined();
  else expect(way).toEqual({ gateway: expected[0], device: expected[1], table: "254" });
});

test("of several equal ways the one that was found last is kept", async () => {
  const { kernel, find } = waysIn([{ dst: "default", flags: [], nexthops: [hop("192.0.2.1", "eth0"), hop("192.0.2.2", "eth1")] }]);
  const { answer } = kernel;
  kernel.answer = "198.51.100.1 via 192.0.2.2 dev eth1 table 100 src 192.0.2.9 uid 0 ";
  await find();
  kernel.answer = answer;
  expect(await find()).toEqual({ gateway: "192.0.2.2", device: "eth1", table: "254" });
});

test("what was found in another table, our own routes in the main one hide: it is read there again", async () => {
  const { kernel, find } = waysIn([{ dst: "default", ...hop("192.0.2.1", "eth0") }]);
  kernel.answer = "198.51.100.1 via 192.0.2.77 dev wg0 table 51820 src 10.0.0.2 uid 0 ";
  kernel.tables["51820"] = [{ dst: "default", ...hop("192.0.2.78", "wg0") }];
  expect(await find()).toMatchObject({ gateway: "192.0.2.77", table: "51820" });
  kernel.answer = "198.51.100.1 via 192.0.2.77 dev wg0 src 10.0.0.2 uid 0 ";
  expect(await find()).toEqual({ gateway: "192.0.2.78", device: "wg0", table: "51820" });
  delete kernel.tables["51820"];
  expect(await find()).toEqual({ gateway: "192.0.2.1", device: "eth0", table: "254" });
});
