import { expect, test, vi } from "vitest";
import { createLog } from "./log-writer.ts";

test("lines that come together leave together, in order, each with its own time", () => {
  vi.useFakeTimers();
  try {
    const written: string[] = [];
    let at = 0;
    const log = createLog(
      () => new Date(at),
      (text) => void written.push(text),
    );
    log("one");
    at = 5;
    log("two");
    expect(written).toEqual([]);
    vi.advanceTimersByTime(50);
    expect(written).toEqual(["1970-01-01T00:00:00.000Z one\n1970-01-01T00:00:00.005Z two\n"]);
    vi.advanceTimersByTime(100);
    log("three");
    vi.advanceTimersByTime(50);
    expect(written.length).toBe(2);
  } finally {
    vi.useRealTimers();
  }
});

test("what waits is written when the process ends", () => {
  const written: string[] = [];
  const before = process.listeners("exit");
  const log = createLog(
    () => new Date(0),
    (text) => void written.push(text),
  );
  const [flush] = process.listeners("exit").filter((listener) => !before.includes(listener));
  log("last");
  flush!(0);
  process.off("exit", flush!);
  expect(written).toEqual(["1970-01-01T00:00:00.000Z last\n"]);
});
