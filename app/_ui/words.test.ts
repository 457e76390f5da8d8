import { describe, expect, it } from "vitest";
import { ageWords, bitRate, byteCount, counted, timeOf, untilWords } from "./words.ts";

describe("words", () => {
  it("writes an age in one unit, rounded down, and never a negative one", () => {
    expect([ageWords(-5_000), ageWords(59_999), ageWords(60_000), ageWords(7_199_999), ageWords(172_800_000)]).toEqual(["0 s", "59 s", "1 min", "1 h", "2 d"]);
  });
  it("tells the future from the past", () => {
    expect([untilWords(90_000), untilWords(-90_000)]).toEqual(["in 1 min", "1 min ago"]);
  });
  it("scales amounts by thousands", () => {
    expect([byteCount(999), byteCount(1_000), byteCount(1_540_000), bitRate(123_456_789)]).toEqual(["999 B", "1.0 kB", "1.5 MB", "123 Mbit/s"]);
  });
  it("reads instants as numbers or ISO texts and refuses the rest", () => {
    expect([timeOf(5), timeOf("1970-01-01T00:00:01Z"), timeOf("soon"), timeOf(null)]).toEqual([5, 1_000, null, null]);
  });
  it("counts one apart from many", () => {
    expect([counted(1, "link"), counted(0, "link"), counted(2, "entry", "entries")]).toEqual(["1 link", "0 links", "2 entries"]);
  });
});
