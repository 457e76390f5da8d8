import { describe, expect, it } from "vitest";
import { peerAddressProblem } from "./peer-address.ts";

describe("a third-party peer's address", () => {
  it.each(["203.0.113.7", "2001:db8::7", "vpn.example.com", "gw", "a-b.c1.example", "xn--bcher-kva.example"])("may be %s", (text) => {
    expect(peerAddressProblem(text)).toBeNull();
  });

  it.each([
    ["", "An address or a host name"],
    ["203.0.113.300", "neither an address nor a host name"],
    ["203.0.113", "neither"],
    ["203.0.113.0/24", "is a network or a URL"],
    ["https://vpn.example.com", "is a network or a URL"],
    ["vpn.example.com:500", "has a port"],
    ["-vpn.example.com", "neither"],
    ["vpn..example.com", "neither"],
    ["two words", "neither"],
    [`${"a".repeat(64)}.example`, "neither"],
  ])("may not be %s", (text, reason) => {
    expect(peerAddressProblem(text)).toContain(reason);
  });
});
