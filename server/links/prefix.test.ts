import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { firstHost, overlap, type Prefix, parsePrefix } from "./prefix.ts";

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if ("error" in parsed) throw new Error(parsed.error);
  return parsed;
}

function problem(text: string): string | null {
  const parsed = parsePrefix(text);
  return "error" in parsed ? parsed.error : null;
}

describe("parsePrefix", () => {
  it("names the network when host bits are set", () => expect(problem("10.1.0.7/24")).toContain("10.1.0.0/24"));
  it("refuses what is no network and quotes it", () => {
    for (const text of ["", "banana", "10.1.0.0", "10.1.0.0/33", "10.1.0/24", "256.0.0.0/8", "10.1.0.0/24/1", "010.0.0.0/8", "2001:db8::/129", "1::2::3/64"]) {
      expect(problem(text), text).not.toBeNull();
    }
  });
  it("writes IPv6 in its shortest form", () => {
    expect(prefix("2001:0db8:0:0:0:0:0:0/32").text).toBe("2001:db8::/32");
    expect(prefix("::/0").text).toBe("::/0");
    expect(prefix("fd00:0:0:1::/64").text).toBe("fd00:0:0:1::/64");
  });
  it("reads back what it writes, for any prefix", () => {
    fc.assert(
      fc.property(fc.bigInt(0n, (1n << 128n) - 1n), fc.integer({ min: 0, max: 128 }), (value, length) => {
        const first = (value >> BigInt(128 - length)) << BigInt(128 - length);
        const groups = Array.from({ length: 8 }, (_, index) => ((first >> BigInt(112 - 16 * index)) & 0xffffn).toString(16)).join(":");
        const parsed = prefix(`${groups}/${length}`);
        expect(prefix(parsed.text)).toEqual(parsed);
        expect(parsed.first).toBe(first);
      }),
    );
  });
});

describe("overlap", () => {
  it("sees a network inside another, either way round", () => {
    expect(overlap(prefix("10.0.0.0/8"), prefix("10.1.0.0/24"))).toBe(true);
    expect(overlap(prefix("10.1.0.0/24"), prefix("10.0.0.0/8"))).toBe(true);
  });
  it("keeps neighbours and families apart", () => {
    expect(overlap(prefix("10.1.0.0/24"), prefix("10.1.1.0/24"))).toBe(false);
    expect(overlap(prefix("0.0.0.0/0"), prefix("::/0"))).toBe(false);
  });
});

it("takes the address after the network's own as its first host", () => {
  expect([firstHost(prefix("10.1.0.0/24")), firstHost(prefix("192.0.2.7/32")), firstHost(prefix("fd00::/64"))]).toEqual(["10.1.0.1", "192.0.2.7", "fd00::1"]);
});
