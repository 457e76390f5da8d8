import { expect, test } from "vitest";
import { desiredState } from "./desired-state.ts";
import { observedState } from "./observed-state.ts";

const drops = { replay: 0, integrity: 0, noSa: 0, policy: 0, tooBig: 0, lifetime: 0, malformed: 0 };
const report = { at: 1, revision: 1, agentVersion: "0", startedAt: 1, plane: "tun", planeReason: "", links: [], drops, memoryBytes: 1 };

test.each(["outboundWorkers", "inboundWorkers"])("a gateway may be told its %s, from 1 to 16, and need not be", (key) => {
  const accepts = (gateway: object) => desiredState.safeParse({ schema: 1, revision: 1, gateway: { name: "a", ...gateway }, links: [] }).success;
  expect(accepts({})).toBe(true);
  expect([1, 16].map((count) => accepts({ [key]: count }))).toEqual([true, true]);
  expect([0, 17, 1.5, "2", null].map((count) => accepts({ [key]: count }))).toEqual([false, false, false, false, false]);
});

test("a report says which workers run, how many processors there are and what was refused; one of an older gateway says nothing of it", () => {
  const said = { processors: 8, workers: { inbound: 2, outbound: 4 }, settingsRefusal: "no room" };
  expect(observedState.parse({ ...report, ...said })).toMatchObject(said);
  const silent = observedState.parse(report);
  for (const key of Object.keys(said)) expect(silent).not.toHaveProperty(key);
  expect(observedState.safeParse({ ...report, workers: { inbound: 2 } }).success).toBe(false);
});
