import { expect, test } from "vitest";
import { parseSelector } from "../../ipsec/traffic-selector.ts";
import { localExceptions, outboundSelectors, portMasks, prefixesOf, priorityOf } from "./kernel-selectors.ts";

const selectors = (...texts: string[]) => texts.map(parseSelector);

test("a prefix is one selector, and a range the fewest prefixes that fill it exactly", () => {
  expect(prefixesOf(parseSelector("10.1.0.0/24"))).toEqual([{ address: "10.1.0.0", length: 24 }]);
  expect(prefixesOf(parseSelector("0.0.0.0/0"))).toEqual([{ address: "0.0.0.0", length: 0 }]);
  expect(prefixesOf(parseSelector("::/0"))).toEqual([{ address: "::", length: 0 }]);
  expect(prefixesOf(parseSelector("10.0.0.5-10.0.0.9")).map(({ address, length }) => `${address}/${length}`)).toEqual([
    "10.0.0.5/32",
    "10.0.0.6/31",
    "10.0.0.8/31",
  ]);
});

test("every range of ports is filled by its masks, each port once", () => {
  let seed = 0x2545f491;
  const random = () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed & 0xffff;
  };
  const ranges = [[0, 65_535], [443, 443], [1_024, 65_535], [0, 0], ...Array.from({ length: 200 }, () => [random(), random()].sort((a, b) => a - b))];
  for (const [startPort = 0, endPort = 0] of ranges) {
    const masks = portMasks({ startPort, endPort });
    const seen = masks.map(({ mask }) => 0x1_0000 - mask).reduce((sum, size) => sum + size, 0);
    expect(seen).toBe(endPort - startPort + 1);
    for (const port of [startPort - 1, startPort, endPort, endPort + 1].filter((one) => one >= 0 && one <= 65_535))
      expect(masks.filter((masked) => (port & masked.mask) === masked.port)).toHaveLength(port >= startPort && port <= endPort ? 1 : 0);
  }
});

test("selectors of a child are every local one with every remote one of its family and protocol", () => {
  const made = outboundSelectors(selectors("10.1.0.0/24", "fd00:1::/64", "10.3.0.0/24[udp]"), selectors("10.2.0.0/24[tcp/443]", "fd00:2::/64"));
  expect(made.map(({ source, destination, protocol, destinationPort }) => [source, destination, protocol, destinationPort])).toEqual([
    ["10.1.0.0", "10.2.0.0", 6, 443],
    ["fd00:1::", "fd00:2::", 0, 0],
  ]);
});

test("what the kernel cannot express is refused in a sentence", () => {
  expect(() => outboundSelectors(selectors("10.1.0.0/24[tcp/opaque]"), selectors("10.2.0.0/24"))).toThrow(/OPAQUE/);
  expect(() => outboundSelectors(selectors("10.1.0.0/24[icmp/8]"), selectors("10.2.0.0/24"))).toThrow(/ICMP/);
  expect(() => outboundSelectors(selectors("10.0.0.1-10.0.255.254"), selectors("10.1.0.1-10.1.255.254", "10.2.0.1-10.2.255.254"))).toThrow(/at most 1024/);
});

test("a local network within a wider remote one stays inside; an equal or a wider one does not", () => {
  expect(
    localExceptions(selectors("10.1.0.0/24[tcp]"), selectors("0.0.0.0/0")).map(({ source, destination, protocol }) => [source, destination, protocol]),
  ).toEqual([["10.1.0.0", "10.1.0.0", 0]]);
  for (const [local, remote] of [
    ["0.0.0.0/0", "10.2.0.0/24"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["10.1.0.0/24", "10.2.0.0/24"],
    ["10.1.0.0/24", "::/0"],
  ])
    expect(localExceptions(selectors(local!), selectors(remote!))).toEqual([]);
});

test("the longer remote prefix decides, whatever the local one; an exception comes before its like", () => {
  const [wide, host, network, exception] = outboundSelectors(selectors("10.1.0.0/24"), selectors("0.0.0.0/0", "10.2.0.1", "10.2.0.0/24", "10.1.0.0/24"));
  const [anywhere] = outboundSelectors(selectors("0.0.0.0/0"), selectors("10.2.0.1"));
  const order = [
    priorityOf(anywhere!, false),
    priorityOf(network!, false),
    priorityOf(exception!, true),
    priorityOf(exception!, false),
    priorityOf(wide!, false),
  ];
  expect(priorityOf(host!, false)).toBeLessThan(order[0]!);
  expect(order[1]).toBe(order[3]);
  expect(order[0]).toBeLessThan(order[2]!);
  expect(order[2]).toBeLessThan(order[1]!);
  expect(order[1]).toBeLessThan(order[4]!);
});
