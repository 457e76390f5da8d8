import { networkInterfaces } from "node:os";
import { expect, it } from "vitest";
import { sourceAddressTo } from "./source-address.ts";

it("is the loopback's own address for the loopback, in both families, and nothing for what is no address or has no route", () => {
  expect(sourceAddressTo("127.0.0.2")).toBe("127.0.0.1");
  expect(sourceAddressTo("::1")).toBe("::1");
  expect(sourceAddressTo("peer.example.org")).toBeNull();
  // A datagram has no route from one scope to nowhere: connect(2) refuses a multicast-less link-local address without an interface.
  expect(sourceAddressTo("fe80::1")).toBeNull();
});

it("is an address of this machine for any other one of it", () => {
  const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  for (const { address, family, scopeid } of own)
    if (family === "IPv4" || scopeid === 0) expect(own.map((one) => one.address)).toContain(sourceAddressTo(address));
});
