import { expect, it } from "vitest";
import { TooMany } from "./errors.ts";
import { RateBound } from "./rate-bound.ts";

it("bounds each user by itself and lets go as time passes", () => {
  const bound = new RateBound({ most: 2, milliseconds: 1_000 });
  bound.take("ada", 0);
  bound.take("ada", 400);
  expect(() => bound.take("ada", 900)).toThrow(TooMany);
  expect(() => bound.take("ada", 900)).toThrow("Try again in 1 s.");
  bound.take("eve", 900);
  bound.take("ada", 1_001);
  expect(() => bound.take("ada", 1_002)).toThrow(TooMany);
});
