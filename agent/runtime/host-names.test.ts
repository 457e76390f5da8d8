import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { DesiredState } from "../../contract/desired-state.ts";
import { Agent } from "./agent.ts";
import { createSystemClock, systemRandom } from "./system-clock.ts";
import { recordingMachine, stateOfLinks } from "./test-doubles.ts";

/* Peers that are given by host name: a name server that says nothing, as while the outside interface is down, holds up nothing else. */

let machine: ReturnType<typeof recordingMachine>;
let asked: string[];
let answer: (name: string) => Promise<readonly string[]>;
let agent: Agent;
let logs: string[];
const silent = () => new Promise<never>(() => undefined);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
  machine = recordingMachine();
  asked = [];
  logs = [];
  answer = silent;
  const resolveHost = (name: string) => {
    asked.push(name);
    return answer(name);
  };
  agent = new Agent({
    factories: { ...machine.factories, resolveHost },
    clock: createSystemClock(),
    random: systemRandom,
    agentVersion: "test",
    log: (line) => void logs.push(line),
  });
});
afterEach(async () => {
  await agent.shutdown();
  vi.useRealTimers();
});

/** Links `l1` … `lN`; those of `names` have their peer's name there. */
function withNames(count: number, names: Record<string, string>): DesiredState {
  const state = stateOfLinks(count);
  const links = state.links.map((link) => ({ ...link, remote: { ...link.remote, address: names[link.id] ?? link.remote.address } }));
  return { ...state, links };
}

const addressesOf = (linkId: string) =>
  machine.endpoints.flatMap(({ inputs }) =>
    inputs.flatMap((input) => (input.kind === "setLink" && input.link.id === linkId ? [input.link.remoteAddresses] : [])),
  );

/** Lets everything happen that waits for no time. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
}

test("links whose peer needs no look-up are set before any answer, and the verdict about the others takes a second", async () => {
  const applied = agent.apply(withNames(4, { l1: "a.example", l3: "c.example" }));
  await settle();
  expect(machine.inputs()).toEqual(["set l2", "set l4"]);
  expect(machine.ipCalls.filter((call) => call.includes("route add")).length).toBe(2);
  expect(asked).toEqual(["a.example", "c.example"]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect((await applied).map(({ outcome, reason }) => reason ?? outcome)).toEqual([
    expect.stringMatching(/^a\.example does not resolve \(the name server is silent\)/),
    "applied",
    expect.stringMatching(/^c\.example does not resolve/),
    "applied",
  ]);
});

test("a peer that calls while its name is looked up is answered once its link is set, and the verdict is good", async () => {
  const late = Promise.withResolvers<readonly string[]>();
  answer = () => late.promise;
  const applied = agent.apply(withNames(2, { l2: "peer.example" }));
  await settle();
  expect(asked).toEqual(["peer.example"]);
  const local = { address: "192.0.2.1", port: 4_500 };
  machine.planes[0]!.deliver({ local, remote: { address: "198.51.100.9", port: 4_500 }, bytes: new Uint8Array(28) });
  late.resolve(["198.51.100.9"]);
  expect(await applied).toEqual(["l1", "l2"].map((linkId) => ({ linkId, outcome: "applied", reason: null })));
  await settle();
  expect(machine.inputs()).toEqual(["set l1", "set l2", "datagram"]);
  expect(logs).toEqual(["addresses of l2 resolved"]);
});

test("while the name server is silent each name is asked for once, a failed data plane is set up anew and the gateway stops at once", async () => {
  const applied = agent.apply(withNames(2, { l1: "a.example" }));
  await settle();
  await vi.advanceTimersByTimeAsync(600_000);
  await applied;
  expect(asked).toEqual(["a.example"]);
  machine.inputs();
  machine.planes[0]!.emit({ kind: "failed", reason: "a worker died" });
  await settle();
  expect(machine.inputs()).toEqual(["shutdown", "set l2"]);
  await agent.shutdown();
  expect(machine.planes.map(({ calls }) => calls.at(-1))).toEqual(["close", "close"]);
});

test("an answer that comes after the verdict is used when it comes", async () => {
  const late = Promise.withResolvers<readonly string[]>();
  answer = () => late.promise;
  const applied = agent.apply(withNames(1, { l1: "a.example" }));
  await settle();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(await applied).toMatchObject([{ outcome: "refused" }]);
  late.resolve(["198.51.100.9"]);
  await settle();
  expect(addressesOf("l1")).toEqual([["198.51.100.9"]]);
});

test("a link whose name does not resolve is tried again every five seconds, and set with its routes", async () => {
  answer = async () => Promise.reject(new Error("ENOTFOUND"));
  await agent.apply(withNames(1, { l1: "a.example" }));
  expect(machine.inputs()).toEqual([]);
  answer = async () => ["198.51.100.9"];
  await vi.advanceTimersByTimeAsync(5_000);
  await settle();
  expect(machine.ipCalls.filter((call) => call.includes("route add 10.2.0.0/24"))).toHaveLength(1);
  expect(addressesOf("l1")).toEqual([["198.51.100.9"]]);
  expect(agent.report().links[0]?.lastFailure).toBe(null);
});

test("what is known of a name outlives the data plane, whatever the name server says meanwhile", async () => {
  answer = async () => ["198.51.100.9"];
  const state = withNames(1, { l1: "a.example" });
  await agent.apply(state);
  answer = silent;
  machine.inputs();
  machine.planes[0]!.emit({ kind: "failed", reason: "a worker died" });
  await settle();
  expect(addressesOf("l1")).toEqual([["198.51.100.9"]]);
  machine.inputs();
  expect(await agent.apply({ ...state, gateway: { ...state.gateway, outboundWorkers: 2 } })).toMatchObject([{ outcome: "applied" }]);
  expect(addressesOf("l1")).toEqual([["198.51.100.9"]]);
});
