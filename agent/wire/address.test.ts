import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addressToBigInt, bigIntToAddress, formatAddress, parseAddress } from "./address.ts";

describe("addresses", () => {
  it.each([
    ["2001:0db8:0:0:0:0:2:1", "2001:db8::2:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["::", "::"],
    ["1::", "1::"],
    ["::1", "::1"],
    ["::ffff:192.0.2.1", "::ffff:192.0.2.1"],
    ["2001:DB8::A", "2001:db8::a"],
    ["192.0.2.255", "192.0.2.255"],
  ])("prints %s as %s (RFC 5952)", (text, canonical) => {
    expect(formatAddress(parseAddress(text)!)).toBe(canonical);
  });

  it.each([
    "",
    "1.2.3",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.4.5",
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::8",
    "12345::",
    "g::",
    "fe80::1%eth0",
    "1.2.3.4::",
  ])("refuses %j", (text) => expect(parseAddress(text)).toBeNull());

  it("reads back every address that it prints", () => {
    const octets = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.array(fc.constantFrom(0, 0, 0, 1), { minLength: 16, maxLength: 16 }).map((list) => Uint8Array.from(list)),
    );
    fc.assert(
      fc.property(octets, (bytes) => {
        expect(parseAddress(formatAddress(bytes))).toEqual(bytes);
        expect(bigIntToAddress(addressToBigInt(bytes), bytes.length === 4 ? 4 : 6)).toEqual(bytes);
      }),
    );
  });
});
