import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import type { ReceiveSa } from "./inbound-sa.ts";
import { hashedTo } from "./network-rows.ts";
import { ReceiveSas } from "./receive-sas.ts";

const saOf = (spi: number) => ({ spi: spi as EspSpi }) as ReceiveSa;
/** Few, so that they come again; each bit that makes an SPI another number once it is signed. */
const spis = fc.oneof(
  fc.integer({ min: 256, max: 320 }),
  fc.integer({ min: 2 ** 31 - 16, max: 2 ** 31 + 16 }),
  fc.integer({ min: 2 ** 32 - 32, max: 2 ** 32 - 1 }),
);
const steps = fc.array(fc.record({ spi: spis, what: fc.constantFrom("add", "add", "delete", "get") }), { maxLength: 300, size: "max" });

describe("ReceiveSas", () => {
  it("holds what a map holds, through any order of changes, and grows as it must", () => {
    fc.assert(
      fc.property(steps, (all) => {
        const table = new ReceiveSas();
        const model = new Map<number, ReceiveSa>();
        for (const { spi, what } of all) {
          const known = model.get(spi);
          expect(table.get(spi as EspSpi)).toBe(known);
          expect(table.peek(spi | 0)).toBe(known ?? null);
          if (what === "add" && known === undefined) {
            const sa = saOf(spi);
            table.add(sa);
            model.set(spi, sa);
          } else if (what === "delete") {
            model.delete(spi);
            table.delete(known ?? saOf(spi));
          }
          expect(table.get(spi as EspSpi)).toBe(model.get(spi));
        }
        for (const [spi, sa] of model) expect(table.get(spi as EspSpi)).toBe(sa);
        expect(new Set(table.values())).toEqual(new Set(model.values()));
      }),
    );
  });

  it("loses none of those behind one that goes, also where they go on at the table's beginning", () => {
    // Of 16 places the last but one is all their first: they lie in 14, 15, 0 and 1.
    const together = Array.from({ length: 5_000 }, (_, index) => 300 + index)
      .filter((spi) => hashedTo(spi, 28) === 14)
      .slice(0, 4);
    for (const gone of together) {
      const table = new ReceiveSas();
      for (const spi of together) table.add(saOf(spi));
      table.delete(saOf(gone));
      expect(together.filter((spi) => table.get(spi as EspSpi) !== undefined)).toEqual(together.filter((spi) => spi !== gone));
    }
    expect(together).toHaveLength(4);
  });

  it("has no more room after any number of rekeys than its SAs need", () => {
    const table = new ReceiveSas();
    for (let spi = 300; spi < 10_300; spi++) {
      table.add(saOf(spi));
      if (spi >= 400) table.delete(table.get((spi - 100) as EspSpi)!);
    }
    expect(table.room).toBeLessThanOrEqual(4 * 101);
  });

  it("finds none for SPI 0, which no SA has, whether it is empty or not", () => {
    const table = new ReceiveSas();
    expect(table.get(0 as EspSpi)).toBeUndefined();
    table.add(saOf(300));
    expect(table.get(0 as EspSpi)).toBeUndefined();
    expect(table.peek(0)).toBeNull();
  });

  it("asks at the place that is read ahead of most SPIs' turns", () => {
    const table = new ReceiveSas();
    const all = Array.from({ length: 10_000 }, (_, index) => Math.imul(index + 1, 0x9e3779b1) | 0);
    for (const spi of all) table.add(saOf(spi >>> 0));
    const atHome = all.filter((spi) => table.place(spi) === spi || table.place(spi) === (spi | 1));
    expect(atHome.length).toBeGreaterThan(7_000);
  });
});
