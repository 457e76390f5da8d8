import { beforeEach, expect, test } from "vitest";
import { FaultLog } from "./fault-log.ts";

let now: number;
let lines: string[];
let faults: FaultLog;

beforeEach(() => {
  now = 1_000;
  lines = [];
  faults = new FaultLog(
    () => now,
    (line) => lines.push(line),
  );
});

test("tells the same fault once a minute, and another one meanwhile", () => {
  faults.tell("no route");
  now += 59_999;
  faults.tell("no route");
  faults.tellError(new Error("no memory"));
  expect(lines).toEqual(["no route", "no memory"]);
  now += 1;
  faults.tell("no route");
  expect(lines).toEqual(["no route", "no memory", "no route"]);
});

test("tells no more than a hundred different ones a minute, and others again once that is over", () => {
  for (let stranger = 0; stranger < 150; stranger++) faults.tell(`refused ${stranger}`);
  expect(lines).toHaveLength(100);
  expect(lines.at(-1)).toBe("refused 99");
  now += 60_000;
  faults.tell("refused 149");
  expect(lines.at(-1)).toBe("refused 149");
});
