import { describe, expect, it } from "vitest";
import { ahVectors } from "../../testing/esp-vectors.ts";
import { AH_FIXED_OCTETS, findAh } from "../../wire/ah.ts";
import { Arena } from "./arena.ts";
import { AhTransform } from "./ah-transform.ts";

/** HMAC-SHA-1 and CMAC, which no link negotiates. */
const left = ["ah-45", "ah-49"];
const covered = ahVectors().filter(({ id }) => !left.includes(id));
const arena = new Arena(1 << 20);
const at = arena.allocate(4_096);

describe("AhTransform on known-answer packets", () => {
  it.each(covered)("seals $id to the octet, and verifies it unless one octet is changed that routers may not change", (vector) => {
    const transform = new AhTransform(arena, vector.keys, vector.sequenceHigh !== undefined);
    const high = vector.sequenceHigh ?? 0;
    const ahAt = findAh(vector.wire, 0, vector.wire.length);
    const end = at + vector.wire.length;
    const put = (changed = -1) => {
      arena.bytes.set(vector.wire, at);
      if (changed >= 0) arena.bytes[at + changed] = vector.wire[changed]! ^ 0x40;
    };
    put();
    arena.bytes.fill(0, at + ahAt + AH_FIXED_OCTETS, at + ahAt + AH_FIXED_OCTETS + transform.icvOctets);
    transform.seal(at, ahAt, at + ahAt, end, high);
    expect(Buffer.from(arena.bytes.subarray(at, end)).toString("hex")).toBe(Buffer.from(vector.wire).toString("hex"));
    expect(transform.verify(at, ahAt, at + ahAt, end, high)).toBe(true);
    const mutable = vector.wire[0]! >> 4 === 4 ? [1, 6, 7, 8, 10, 11] : [1, 2, 3, 7];
    for (let changed = 1; changed < vector.wire.length; changed++) {
      put(changed);
      expect(transform.verify(at, ahAt, at + ahAt, end, high), `octet ${changed}`).toBe(mutable.includes(changed));
    }
    transform.close();
  });

  it("says which algorithm it does not have, and holds nothing of it", () => {
    for (const { keys } of ahVectors().filter(({ id }) => left.includes(id)))
      expect(() => new AhTransform(arena, keys, false)).toThrow(/^the TUN plane has no AH with the integrity algorithm/);
  });
});
