import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { endOfPath, findAh } from "./ah.ts";
import { zeroMutableFields } from "./ah-mutable-fields.ts";

/*
 * A second model of RFC 4302 §3.3.3.1 and appendix A: headers are made from their fields, and the form that the ICV covers is made from the same
 * fields again, with zeros where the RFC says so, rather than by going over octets.
 */
interface Option {
  readonly octets: readonly number[];
  readonly covered: readonly number[];
}

const octet = fc.integer({ min: 0, max: 255 });
const octets = (minLength: number, maxLength: number) => fc.array(octet, { minLength, maxLength });
const address4 = octets(4, 4);
const address6 = octets(16, 16);

/** Appendix A1: those that stay, and some that do not. */
const options4: fc.Arbitrary<Option> = fc.oneof(
  fc.constant({ octets: [1], covered: [1] }),
  fc
    .tuple(fc.constantFrom(130, 133, 134, 148, 149), octets(0, 6))
    .map(([type, data]) => ({ octets: [type, data.length + 2, ...data], covered: [type, data.length + 2, ...data] })),
  fc
    .tuple(fc.constantFrom(7, 68, 82, 10, 11, 77, 205), octets(0, 6))
    .map(([type, data]) => ({ octets: [type, data.length + 2, ...data], covered: new Array<number>(data.length + 2).fill(0) })),
);

const ipv4 = fc.record({
  tos: octet,
  identification: octets(2, 2),
  flags: fc.constantFrom(0, 0x40, 0x80),
  ttl: octet,
  checksum: octets(2, 2),
  source: address4,
  destination: address4,
  options: fc.array(options4, { maxLength: 5 }).filter((list) => list.flatMap((one) => one.octets).length <= 40),
  payload: octets(0, 30),
});

describe("IPv4", () => {
  it("takes the fields and options that may change for zero, and all others as they are", () => {
    fc.assert(
      fc.property(ipv4, (packet) => {
        const make = (isCovered: boolean): Uint8Array => {
          const options = packet.options.flatMap((one) => (isCovered ? one.covered : one.octets));
          // A list that does not fill its words ends with zeros: the end of options, and padding.
          while (options.length % 4 !== 0) options.push(0);
          const may = (...values: number[]) => (isCovered ? values.map(() => 0) : values);
          const length = 20 + options.length + packet.payload.length;
          return Uint8Array.from([
            0x40 | (5 + options.length / 4),
            ...may(packet.tos),
            length >> 8,
            length & 255,
            ...packet.identification,
            ...may(packet.flags, 0),
            ...may(packet.ttl),
            51,
            ...may(...packet.checksum),
            ...packet.source,
            ...packet.destination,
            ...options,
            ...packet.payload,
          ]);
        };
        const wire = make(false);
        const at = findAh(wire, 0, wire.length);
        expect(at).toBe((wire[0]! & 15) * 4);
        expect(zeroMutableFields(wire, 0, at)).toBe(true);
        expect([...wire]).toEqual([...make(true)]);
      }),
      { numRuns: 500 },
    );
  });

  it("covers the last address of a source route in place of the next hop, and no route that is used up", () => {
    const route = (pointer: number) => [131, 11, pointer, 9, 9, 9, 1, 9, 9, 9, 2];
    const header = (options: readonly number[], destination: readonly number[]) =>
      Uint8Array.from([0x40 | (5 + options.length / 4), 0, 0, 20 + options.length, 0, 7, 0, 0, 0, 51, 0, 0, 1, 2, 3, 4, ...destination, ...options]);
    const zeros = new Array<number>(12).fill(0);
    const underWay = header([...route(4), 0], [5, 5, 5, 5]);
    expect(zeroMutableFields(underWay, 0, 32)).toBe(true);
    expect([...underWay]).toEqual([...header(zeros, [9, 9, 9, 2])]);
    const arrived = header([...route(12), 0], [9, 9, 9, 2]);
    expect(zeroMutableFields(arrived, 0, 32)).toBe(true);
    expect([...arrived]).toEqual([...header(zeros, [9, 9, 9, 2])]);
  });

  it.each([
    [[130, 0, 0, 0], "an option of no length"],
    [[130, 1, 0, 0], "an option shorter than its own length"],
    [[1, 1, 130, 9], "an option longer than the header"],
    [[1, 1, 1, 130], "an option that is cut off"],
  ])("refuses %j: %s", (options) => {
    const header = Uint8Array.from([0x46, 0, 0, 24, 0, 0, 0, 0, 0, 51, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, ...options]);
    expect(zeroMutableFields(header, 0, 24)).toBe(false);
  });
});

/** RFC 8200 §4.2: the third bit of the type says whether the data may change. */
const options6: fc.Arbitrary<Option> = fc.oneof(
  fc.constant({ octets: [0], covered: [0] }),
  fc
    .tuple(
      octet.filter((type) => type !== 0),
      octets(0, 12),
    )
    .map(([type, data]) => {
      const zeros = (type & 0x20) === 0 ? data : data.map(() => 0);
      return { octets: [type, data.length, ...data], covered: [type, data.length, ...zeros] };
    }),
);

interface Extension {
  readonly type: number;
  readonly body: Option;
}

/** The body of an extension header behind its first two octets, filled up with PadN to a whole number of 8. */
const extensions = fc.oneof(
  fc.tuple(fc.constantFrom(0, 60), fc.array(options6, { maxLength: 4 })).map(([type, list]): Extension => {
    const body = list.flatMap((one) => one.octets);
    const covered = list.flatMap((one) => one.covered);
    const missing = (16 - ((body.length + 2) % 8)) % 8;
    const padding = missing === 1 ? [0] : missing === 0 ? [] : [1, missing - 2, ...new Array<number>(missing - 2).fill(0)];
    return { type, body: { octets: [...body, ...padding], covered: [...covered, ...padding] } };
  }),
  // A routing header that is at its end: type, segments left, and whatever it has been.
  fc.tuple(octet, octets(20, 20)).map(([type, rest]): Extension => {
    const body = [type, 0, ...rest];
    return { type: 43, body: { octets: body, covered: body } };
  }),
);

const ipv6 = fc.record({
  trafficClass: octet,
  flowLabel: octets(2, 2),
  hopLimit: octet,
  source: address6,
  destination: address6,
  extensions: fc.array(extensions, { maxLength: 4 }),
  payload: octets(0, 30),
});

describe("IPv6", () => {
  it("takes the fields and option data that may change for zero, and all others as they are", () => {
    fc.assert(
      fc.property(ipv6, (packet) => {
        const make = (isCovered: boolean): Uint8Array => {
          const may = (...values: number[]) => (isCovered ? values.map(() => 0) : values);
          const nexts = [...packet.extensions.map((one) => one.type), 51];
          const headers = packet.extensions.flatMap(({ body }, index) => {
            const rest = isCovered ? body.covered : body.octets;
            return [nexts[index + 1]!, (rest.length + 2) / 8 - 1, ...rest];
          });
          const length = headers.length + packet.payload.length;
          const first = isCovered ? [0x60, 0] : [0x60 | (packet.trafficClass >> 4), (packet.trafficClass & 15) << 4];
          return Uint8Array.from([
            ...first,
            ...may(...packet.flowLabel),
            length >> 8,
            length & 255,
            nexts[0]!,
            ...may(packet.hopLimit),
            ...packet.source,
            ...packet.destination,
            ...headers,
            ...packet.payload,
          ]);
        };
        const wire = make(false);
        const at = findAh(wire, 0, wire.length);
        expect(at).toBe(wire.length - packet.payload.length);
        expect(zeroMutableFields(wire, 0, at)).toBe(true);
        expect([...wire]).toEqual([...make(true)]);
      }),
      { numRuns: 500 },
    );
  });

  const header = (next: number, rest: readonly number[]) =>
    Uint8Array.from([0x60, 0, 0, 0, 0, rest.length, next, 64, ...new Array<number>(32).fill(1), ...rest]);

  it("refuses a source route that is under way, and options that do not fit their header", () => {
    expect(zeroMutableFields(header(43, [51, 0, 0, 1, 0, 0, 0, 0]), 0, 48)).toBe(false);
    expect(zeroMutableFields(header(0, [51, 0, 5, 9, 0, 0, 0, 0]), 0, 48)).toBe(false);
    expect(zeroMutableFields(header(0, [51, 0, 1, 3, 0, 0, 0, 5]), 0, 48)).toBe(false);
  });

  it("finds no place for AH in a fragment, nor behind a header that is longer than the packet", () => {
    expect(endOfPath(header(44, [17, 0, 0, 1, 0, 0, 0, 0]), 0, 48)).toBe(-1);
    expect(endOfPath(header(0, [17, 1, 1, 4, 0, 0, 0, 0]), 0, 48)).toBe(-1);
  });
});
