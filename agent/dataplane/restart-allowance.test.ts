import { expect, test } from "vitest";
import { RestartAllowance } from "./restart-allowance.ts";

test("three restarts a minute, and what was refused counts too", () => {
  const allowance = new RestartAllowance();
  expect([0, 1_000, 2_000, 3_000, 59_999].map((now) => allowance.take(now))).toEqual([true, true, true, false, false]);
  expect([122_000, 122_001].map((now) => allowance.take(now))).toEqual([true, true]);
});
