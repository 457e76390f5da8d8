import { expect, it } from "vitest";
import { median, medianInterval } from "./median.ts";

it("the median is the middle one, or between the middle two", () => {
  expect([median([3, 1, 2]), median([4, 1, 3, 2]), median([])]).toEqual([2, 2.5, null]);
});

it("the median's interval is that of the sign test: of 6 all, of 10 the 2nd to the 9th, of 30 the 10th to the 21st", () => {
  const upTo = (n: number) => Array.from({ length: n }, (_, index) => n - index);
  expect(medianInterval(upTo(5))).toBeNull();
  expect(medianInterval(upTo(6))).toEqual([1, 6]);
  expect(medianInterval(upTo(10))).toEqual([2, 9]);
  expect(medianInterval(upTo(30))).toEqual([10, 21]);
});
