import { afterEach, beforeEach, expect, test } from "vitest";
import type { DesiredState } from "../../contract/desired-state.ts";
import { Agent } from "./agent.ts";
import { formatStatus } from "./status-text.ts";
import { createSystemClock, systemRandom } from "./system-clock.ts";
import { exampleState, recordingMachine } from "./test-doubles.ts";

/* Gateway settings that change while the gateway runs: what is opened anew, and what is not. */

let machine: ReturnType<typeof recordingMachine>;
let logs: string[];
let agent: Agent;
beforeEach(() => {
  machine = recordingMachine();
  logs = [];
  agent = new Agent({
    factories: machine.factories,
    clock: createSystemClock(),
    random: systemRandom,
    agentVersion: "test",
    log: (line) => void logs.push(line),
  });
});
afterEach(() => agent.shutdown());

function withWorkers(workers: { outboundWorkers?: number; inboundWorkers?: number }, change: Partial<DesiredState> = {}): DesiredState {
  const state = exampleState();
  return { ...state, ...change, gateway: { ...state.gateway, ...workers } };
}

test("without a number there is one worker a direction, which is also what 1 says: nothing is opened anew", async () => {
  await agent.apply(withWorkers({}));
  await agent.apply(withWorkers({ outboundWorkers: 1, inboundWorkers: 1 }));
  expect(machine.planes).toHaveLength(1);
  expect(agent.report()).toMatchObject({ workers: { outbound: 1, inbound: 1 } });
  expect(agent.report().processors).toBeGreaterThan(0);
});

test("another number of workers opens the data plane anew at once, tells the peers, and reports what runs", async () => {
  await agent.apply(withWorkers({}));
  machine.inputs();
  expect(await agent.apply(withWorkers({ outboundWorkers: 4, inboundWorkers: 2 }))).toEqual([{ linkId: "berlin", outcome: "applied", reason: null }]);
  expect(machine.inputs()).toEqual(["shutdown", "set berlin"]);
  expect([machine.planes.length, machine.planes[0]?.calls.at(-1)]).toEqual([2, "close"]);
  expect(agent.report().workers).toEqual({ outbound: 4, inbound: 2 });
  expect(formatStatus(agent.report())).toMatch(/4 outbound and 2 inbound workers/);
});

test("a peer that waits to be called is called when the data plane was opened anew", async () => {
  const state = withWorkers({});
  const waiting = { ...state, links: state.links.map((link) => ({ ...link, initiate: "respond" as const })) };
  await agent.apply(waiting);
  await agent.apply({ ...waiting, gateway: { ...waiting.gateway, outboundWorkers: 2 } });
  const seen: string[] = [];
  await expect.poll(() => seen.push(...machine.inputs()) && seen).toEqual(["set berlin", "shutdown", "set berlin", "up"]);
});

test("where the kernel protects packets the number of workers changes nothing and drops nothing", async () => {
  machine.faults.hasWorkers = false;
  await agent.apply(withWorkers({}));
  machine.inputs();
  await agent.apply(withWorkers({ outboundWorkers: 4, inboundWorkers: 4 }));
  expect([machine.planes.length, machine.inputs()]).toEqual([1, []]);
  expect(agent.report()).not.toHaveProperty("workers");
});

test("a number that cannot be had: the former stays in force, the links are taken, and the report says why", async () => {
  machine.faults.mostWorkers = 2;
  await agent.apply(withWorkers({ outboundWorkers: 2 }));
  const [link] = exampleState().links;
  if (link === undefined) throw new Error("no link");
  const verdicts = await agent.apply(withWorkers({ outboundWorkers: 8 }, { revision: 8, links: [{ ...link, id: "rome" }] }));
  expect(verdicts).toEqual([{ linkId: "rome", outcome: "applied", reason: null }]);
  expect(agent.report()).toMatchObject({ revision: 8, workers: { outbound: 2, inbound: 1 }, settingsRefusal: "no room for 8 outbound and 1 inbound" });
  expect(formatStatus(agent.report())).toContain("new gateway settings are not in force: no room for 8");
  expect(agent.state?.gateway.outboundWorkers).toBe(2);
});

test("what could not be had is not tried at every push, which would cost every tunnel a second: only when others are wanted", async () => {
  machine.faults.mostWorkers = 2;
  await agent.apply(withWorkers({}));
  await agent.apply(withWorkers({ outboundWorkers: 8 }));
  machine.inputs();
  await agent.apply(withWorkers({ outboundWorkers: 8 }, { revision: 9 }));
  expect(machine.inputs()).toEqual([]);
  expect(agent.settingsRefusal).toMatch(/no room/);
  await agent.apply(withWorkers({ outboundWorkers: 2 }));
  expect([agent.settingsRefusal, agent.report().workers]).toEqual([null, { outbound: 2, inbound: 1 }]);
});

test("when neither the new settings nor the former can be had, the former are tried until they can", async () => {
  await agent.apply(withWorkers({}));
  machine.faults.plane = "the machine is out of memory";
  await expect(agent.apply(withWorkers({ outboundWorkers: 2 }))).rejects.toThrow("out of memory");
  expect(agent.report().plane).toBe("none");
  machine.faults.plane = null;
  const seen: string[] = [];
  await expect.poll(() => seen.push(...machine.inputs()) && seen, { timeout: 10_000 }).toEqual(["set berlin", "shutdown", "set berlin"]);
  expect(agent.report().workers).toEqual({ outbound: 1, inbound: 1 });
});

test("a former data plane that cannot be emptied is told, and does not keep the new settings or the links from being taken", async () => {
  await agent.apply(withWorkers({}));
  machine.planes[0]!.flush = () => Promise.reject(new Error("a worker does not answer"));
  expect(await agent.apply(withWorkers({ outboundWorkers: 2 }))).toMatchObject([{ outcome: "applied" }]);
  expect([machine.planes[0]!.calls.at(-1), agent.report().workers]).toEqual(["close", { outbound: 2, inbound: 1 }]);
  expect(logs).toContain("closing: a worker does not answer");
  machine.inputs();
  // Those of before are had anew as well: nothing takes the closed engine for one that runs.
  await agent.apply(withWorkers({}));
  expect([machine.planes.length, machine.inputs()]).toEqual([3, ["shutdown", "set berlin"]]);
});

test("a data plane that fails and cannot be closed either is set up anew, and the process goes on", async () => {
  await agent.apply(withWorkers({}));
  machine.planes[0]!.close = () => Promise.reject(new Error("a worker does not answer"));
  machine.planes[0]!.emit({ kind: "failed", reason: "a worker died" });
  await expect.poll(() => agent.report().links.length > 0 && machine.planes.length).toBe(2);
  expect(logs).toContain("closing: a worker does not answer");
});

test("settings that come while the gateway stops, or after it, open nothing", async () => {
  await agent.apply(withWorkers({}));
  machine.inputs();
  const stopped = agent.shutdown();
  await expect(agent.apply(withWorkers({ outboundWorkers: 2 }))).rejects.toThrow("the gateway is stopping");
  await stopped;
  await expect(agent.apply(withWorkers({}))).rejects.toThrow("the gateway is stopping");
  expect([machine.planes.length, machine.inputs()]).toEqual([1, ["shutdown"]]);
});

test("however often the network changes while something else is under way, routes are looked at once after it", async () => {
  let changed: () => void = () => undefined;
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  const { openPlane } = machine.factories;
  let opens = 0;
  const factories = {
    ...machine.factories,
    openPlane: async (settings: Parameters<typeof openPlane>[0]) => {
      if (++opens === 2) await opened;
      return openPlane(settings);
    },
    watchNetwork: (onChange: () => void) => {
      changed = onChange;
      return { close: () => undefined };
    },
  };
  const watching = new Agent({ factories, clock: createSystemClock(), random: systemRandom, agentVersion: "test", log: () => undefined });
  await watching.apply(withWorkers({}));
  const applied = watching.apply(withWorkers({ outboundWorkers: 2 }));
  await expect.poll(() => opens).toBe(2);
  const looks = () => machine.ipCalls.filter((call) => call.includes("route show proto")).length;
  const before = looks();
  for (let times = 0; times < 5; times++) changed();
  open();
  await applied;
  await watching.shutdown();
  expect(looks() - before).toBe(1);
});
