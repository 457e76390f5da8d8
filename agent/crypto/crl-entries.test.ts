import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readTime } from "./certificate.ts";
import { serialText } from "./crl.ts";
import { entriesInSlices, type Revocation, type RevokedEntries } from "./crl-entries.ts";
import { CryptoError } from "./crypto-error.ts";
import { DerTag, derChildren, derElement, derElements } from "./der.ts";

const subject = { code: "badRevocation", what: "the list" } as const;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const reasonOid = derElement(DerTag.OBJECT_IDENTIFIER, [Uint8Array.of(0x55, 0x1d, 21)]);

interface Entry {
  readonly serial: Uint8Array;
  readonly date: string;
  readonly reason: number | null;
}

function encode({ serial, date, reason }: Entry): Uint8Array {
  const value = (code: number): Uint8Array => derElement(DerTag.OCTET_STRING, [derElement(0x0a, [Uint8Array.of(code)])]);
  const extensions = reason === null ? [] : [derElement(DerTag.SEQUENCE, [derElement(DerTag.SEQUENCE, [reasonOid, value(reason)])])];
  const time = derElement(date.length === 13 ? DerTag.UTC_TIME : DerTag.GENERALIZED_TIME, [text(date)]);
  return derElement(DerTag.SEQUENCE, [derElement(DerTag.INTEGER, [serial]), time, ...extensions]);
}

const aSerial = fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.uint8Array({ minLength: 1, maxLength: 2, max: 2 }));
const two = (min: number, max: number) => fc.integer({ min, max }).map((number) => `${number}`.padStart(2, "0"));
const aDate = fc
  .tuple(fc.constantFrom("26", "99", "2026", "2050"), two(1, 12), two(1, 28), two(0, 23), two(0, 59), two(0, 59))
  .map((parts) => `${parts.join("")}Z`);
const anEntry = fc.record<Entry>({ serial: aSerial, date: aDate, reason: fc.constantFrom(null, 1, 4, 7, 9) });

/** How many pauses it made, and what it read. */
function drain(octets: Uint8Array): { readonly pauses: number; readonly entries: RevokedEntries } {
  const reading = entriesInSlices(octets, subject);
  for (let pauses = 0; ; pauses++) {
    const step = reading.next();
    if (step.done === true) return { pauses, entries: step.value };
  }
}

/** The same by way of an object for everything: last entry of a serial number first. */
function plainly(octets: Uint8Array): Map<string, Revocation["at"]> {
  return new Map(
    derElements(octets, subject).map(({ whole }) => {
      const [serial, date] = derChildren(whole, DerTag.SEQUENCE, subject);
      return [serialText(serial!.content), readTime(date!, subject)];
    }),
  );
}

function read(octets: Uint8Array): RevokedEntries | null {
  try {
    return drain(octets).entries;
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    return null;
  }
}

describe("the entries of a list", () => {
  it("are found by serial number, whatever zeros it begins with, and no other is", () => {
    fc.assert(
      fc.property(fc.array(anEntry, { maxLength: 60 }), fc.array(aSerial, { maxLength: 20 }), (entries, others) => {
        const octets = new Uint8Array(Buffer.concat(entries.map(encode)));
        const known = plainly(octets);
        const found = drain(octets).entries;
        expect(found.size).toBe(entries.length);
        for (const serial of [...entries.map((entry) => entry.serial), ...others])
          for (const same of [serial, Uint8Array.of(0, 0, ...serial)]) expect(found.find(same)?.at).toEqual(known.get(serialText(serial)));
      }),
      { numRuns: 300, seed: 3 },
    );
  });

  it("say the reason where they have one that means something", () => {
    const reasons = [null, 1, 7, 9].map((reason, index) => encode({ serial: Uint8Array.of(index + 1), date: "260101000000Z", reason }));
    const { entries } = drain(new Uint8Array(Buffer.concat(reasons)));
    expect([1, 2, 3, 4].map((serial) => entries.find(Uint8Array.of(serial))?.reason)).toEqual([null, "keyCompromise", null, "privilegeWithdrawn"]);
  });

  it("are read in one pass with a pause for every 2000, also when they all have the same serial number", () => {
    const one = encode({ serial: Uint8Array.of(7), date: "260101000000Z", reason: null });
    const { pauses, entries } = drain(new Uint8Array(Buffer.concat(Array.from({ length: 50_000 }, () => one))));
    expect([pauses, entries.size]).toEqual([25, 50_000]);
    expect([entries.find(Uint8Array.of(7))?.reason, entries.find(Uint8Array.of(8))]).toEqual([null, null]);
  });

  it("of no list are none", () => {
    expect([drain(new Uint8Array(0)).entries.size, drain(new Uint8Array(0)).entries.find(Uint8Array.of(1))]).toEqual([0, null]);
  });

  it.each([
    "261301000000Z",
    "260001000000Z",
    "260132000000Z",
    "260101240000Z",
    "260101006000Z",
    "260101000060Z",
    "26010100000aZ",
    "2601010000000",
    "2601010000Z",
  ])("with the date %s refuse the list", (date) => {
    expect(read(encode({ serial: Uint8Array.of(1), date: "260101000000Z", reason: null }))).not.toBeNull();
    const time = derElement(DerTag.UTC_TIME, [text(date)]);
    expect(read(derElement(DerTag.SEQUENCE, [derElement(DerTag.INTEGER, [Uint8Array.of(1)]), time]))).toBeNull();
  });

  it("with any octets changed refuse the list, or are what a plain reading finds", () => {
    fc.assert(
      fc.property(
        fc.array(anEntry, { minLength: 1, maxLength: 4 }),
        fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 3 }),
        fc.nat(200),
        (made, edits, cut) => {
          const octets = new Uint8Array(Buffer.concat(made.map(encode)));
          for (const [at, octet] of edits) octets[at % octets.length] = octet;
          for (const one of [octets, octets.subarray(0, cut)]) {
            const entries = read(one);
            if (entries === null) continue;
            for (const [serial, at] of plainly(one)) expect(entries.find(new Uint8Array(Buffer.from(serial, "hex")))?.at).toEqual(at);
          }
        },
      ),
      { numRuns: 3_000, seed: 4 },
    );
  });
});
