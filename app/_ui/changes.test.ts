import { describe, expect, it } from "vitest";
import { changesBetween } from "./changes.ts";

describe("changesBetween", () => {
  it("names each leaf that differs and no other", () => {
    expect(changesBetween({ a: 1, b: { c: ["x"], d: true } }, { a: 1, b: { c: ["x", "y"], d: false } })).toEqual([
      { path: "b.c", before: "x", after: "x, y" },
      { path: "b.d", before: "true", after: "false" },
    ]);
  });
  it("lists all leaves of something created or deleted", () => {
    expect(changesBetween(null, { name: "n" })).toEqual([{ path: "name", before: undefined, after: "n" }]);
    expect(changesBetween({ name: "n" }, null)).toEqual([{ path: "name", before: "n", after: undefined }]);
  });
  it("walks lists of objects by index", () => {
    expect(changesBetween({ l: [{ n: 1 }] }, { l: [{ n: 2 }] })).toEqual([{ path: "l[0].n", before: "1", after: "2" }]);
  });
});
