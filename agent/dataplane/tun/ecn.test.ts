import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildTcp, naiveChecksum } from "../../testing/inner-packets.ts";
import { combineEcn, Ecn, trafficClass } from "./ecn.ts";

const DROP = -1;
const { NOT_ECT, ECT_0, ECT_1, CE } = Ecn;

/** RFC 6040 figure 4: rows are the inner mark, columns the outer one in the order of `outers`. */
const outers = [NOT_ECT, ECT_0, ECT_1, CE];
const figure4 = new Map([
  [NOT_ECT, [NOT_ECT, NOT_ECT, NOT_ECT, DROP]],
  [ECT_0, [ECT_0, ECT_0, ECT_1, CE]],
  [ECT_1, [ECT_1, ECT_1, ECT_1, CE]],
  [CE, [CE, CE, CE, CE]],
]);

function packet(family: 4 | 6, tos: number): Uint8Array {
  const octets = family === 4 ? 4 : 16;
  const bytes = buildTcp({
    family,
    source: new Uint8Array(octets).fill(0x0a),
    destination: new Uint8Array(octets).fill(0x0b),
    sourcePort: 1,
    destinationPort: 2,
    sequence: 3,
    flags: 16,
    options: new Uint8Array(0),
    payload: new Uint8Array(5),
    trafficClass: tos,
  });
  return bytes;
}

describe("combineEcn", () => {
  const cases = [...figure4].flatMap(([inner, row]) => row.map((result, index) => ({ inner, outer: outers[index] ?? 0, result })));

  it.each(cases)("makes $result of $inner inside and $outer outside", ({ inner, outer, result }) => {
    fc.assert(
      fc.property(fc.constantFrom(4 as const, 6 as const), fc.nat(63), fc.nat(63), (family, innerDscp, outerDscp) => {
        const bytes = packet(family, (innerDscp << 2) | inner);
        const expected = packet(family, (innerDscp << 2) | Math.max(result, 0));
        expect(combineEcn(bytes, 0, family, (outerDscp << 2) | outer)).toBe(result !== DROP);
        if (result === DROP) return;
        expect(trafficClass(bytes, 0, family)).toBe((innerDscp << 2) | result);
        expect(Buffer.from(bytes).equals(expected)).toBe(true);
        if (family === 4) expect(naiveChecksum(bytes.subarray(0, 20))).toBe(0);
      }),
      { numRuns: 100 },
    );
  });
});
