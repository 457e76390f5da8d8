import { expect, test } from "vitest";
import { Paced } from "./paced.ts";

test("is done at once, and what is asked for in the pause once at its end", async () => {
  const { promise: twice, resolve } = Promise.withResolvers<void>();
  let done = 0;
  const paced = new Paced(() => ++done === 2 && resolve(), 20);
  for (let times = 0; times < 5; times++) paced.ask();
  expect(done).toBe(1);
  // What is waited for keeps no process alive; the test does.
  const alive = setInterval(() => undefined, 1_000);
  await twice;
  clearInterval(alive);
  expect(done).toBe(2);
  paced.ask();
  expect(done).toBe(2);
  paced.clear();
  paced.ask();
  expect(done).toBe(3);
  paced.clear();
});
