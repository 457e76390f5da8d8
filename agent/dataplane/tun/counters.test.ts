import { describe, expect, it } from "vitest";
import { addressOfFixed } from "../ffi/native.ts";
import { Counter, CounterTable } from "./counters.ts";

describe("CounterTable", () => {
  it("begins every row at a cache line, wherever its memory does, and has room for all", () => {
    for (const rows of [1, 3, 100]) {
      const table = CounterTable.ofRows(rows);
      const address = addressOfFixed(new Uint8Array(table.shared));
      for (let row = 0; row < rows; row++) {
        table.set(row, Counter.packets, 0xc0de + row);
        table.set(row, Counter.unsent, 1);
        const at = new Float64Array(table.shared).indexOf(0xc0de + row) * 8;
        expect((address + at) % 64).toBe(0);
        expect(table.get(row, Counter.unsent)).toBe(1);
      }
    }
  });

  it("is the same table for a thread that is given its memory", () => {
    const table = CounterTable.ofRows(2);
    table.add(1, Counter.bytes, 7);
    expect(new CounterTable(table.shared).get(1, Counter.bytes)).toBe(7);
  });
});
