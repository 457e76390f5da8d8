import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { observedState } from "../../contract/observed-state.ts";
import { askAgent } from "./control-client.ts";
import { BadConfig, runAgent, type RunningAgent } from "./run-agent.ts";
import { StateStore } from "./state-store.ts";
import { createAuthority, issue } from "./test-certificates.ts";
import { exampleYaml, recordingMachine, stateOfLinks } from "./test-doubles.ts";
import { parseWhole } from "../../contract/parse-whole.ts";

let directory: string;
let running: RunningAgent | null;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cvrt-run-"));
  running = null;
});
afterEach(async () => {
  await running?.stop();
  rmSync(directory, { recursive: true });
});

function fakeMachine() {
  const machine = recordingMachine();
  const logs: string[] = [];
  const { factories } = machine;
  const options = { stateDir: join(directory, "state"), socket: join(directory, "agent.sock"), factories, log: (line: string) => void logs.push(line) };
  return { ...machine, options, logs };
}

function writeConfig(text: string): string {
  const path = join(directory, "site.yaml");
  writeFileSync(path, text);
  return path;
}

test("from a file: links are set, routes laid, status answered; stopping tells the peers and leaves nothing", async () => {
  const machine = fakeMachine();
  running = await runAgent({ ...machine.options, config: writeConfig(exampleYaml) });
  expect(machine.inputs()).toEqual(["set berlin"]);
  expect(machine.ipCalls).toContain("-4 route add 10.2.0.0/24 dev culvert0 mtu 1438 proto 213");
  const status = parseWhole(observedState, (await askAgent(machine.options.socket, { kind: "status" })).value);
  expect(status).toMatchObject({ revision: 7, plane: "recording", links: [{ id: "berlin", state: "down" }] });
  await running.stop();
  running = null;
  expect(machine.inputs()).toEqual(["shutdown"]);
  expect(machine.ipCalls.slice(-2)).toEqual(["-4 route del 10.2.0.0/24 dev culvert0 proto 213", "transport closed"]);
  expect(machine.planes[0]!.calls.slice(-2)).toEqual(["flush", "close"]);
  expect(existsSync(machine.options.socket)).toBe(false);
});

test("a bad file at start touches nothing; at reload the running state stays; a good one changes what it says", async () => {
  const machine = fakeMachine();
  await expect(runAgent({ ...machine.options, config: writeConfig("schema: 2\n") })).rejects.toThrow(BadConfig);
  expect([machine.planes.length, existsSync(machine.options.socket)]).toEqual([0, false]);
  const config = writeConfig(exampleYaml);
  running = await runAgent({ ...machine.options, config });
  machine.inputs();
  writeConfig(exampleYaml.replace("10.2.0.0/24", "10.2.0.1/24"));
  expect(await askAgent(machine.options.socket, { kind: "reload" })).toMatchObject({ ok: false, value: [expect.stringMatching(/^site\.yaml:20: /)] });
  expect(machine.inputs()).toEqual([]);
  writeConfig(exampleYaml.replace("10.2.0.0/24", "10.9.0.0/24"));
  expect((await running.reload()).ok).toBe(true);
  expect(machine.inputs()).toEqual(["set berlin"]);
  expect(machine.ipCalls).toContain("-4 route del 10.2.0.0/24 dev culvert0 proto 213");
});

test("commands reach the engine; for an unknown or disabled link they say why not", async () => {
  const machine = fakeMachine();
  running = await runAgent({ ...machine.options, config: writeConfig(exampleYaml) });
  machine.inputs();
  const ask = (linkId: string) => askAgent(machine.options.socket, { kind: "command", command: { name: "rekey", linkId, what: "child" } });
  expect(await ask("berlin")).toMatchObject({ ok: true });
  expect(machine.inputs()).toEqual(["rekey"]);
  expect(await ask("rome")).toMatchObject({ ok: false, message: 'There is no link "rome".' });
  writeConfig(exampleYaml.replace("    local: {", "    enabled: false\n    local: {"));
  await running.reload();
  expect(machine.inputs()).toEqual(["removeLink"]);
  expect(await ask("berlin")).toMatchObject({ ok: false, message: expect.stringContaining("disabled") });
});

test("a device that cannot be had ends the start with its reason and leaves no socket", async () => {
  const machine = fakeMachine();
  machine.faults.plane = "a TUN device needs root or CAP_NET_ADMIN";
  await expect(runAgent({ ...machine.options, config: writeConfig(exampleYaml) })).rejects.toThrow(/needs root or CAP_NET_ADMIN/);
  expect(existsSync(machine.options.socket)).toBe(false);
});

test("with the hub away the links start from disk; without enrolment it says what to do", async () => {
  const machine = fakeMachine();
  await expect(runAgent({ ...machine.options, config: null })).rejects.toThrow(/culvert-agent enrol/);
  const authority = await createAuthority();
  const client = await issue(authority, { name: "gw", usage: "client" });
  const store = new StateStore(machine.options.stateDir);
  store.saveIdentity({
    gatewayId: "gw",
    siteName: "s",
    hub: "https://127.0.0.1:1",
    via: null,
    caPem: authority.pem,
    certificatePem: client.pem,
    privateKeyPem: client.keyPem,
  });
  store.saveDesired(stateOfLinks(2));
  running = await runAgent({ ...machine.options, config: null });
  expect(machine.inputs()).toEqual(["set l1", "set l2"]);
  await expect.poll(() => machine.logs.some((line) => line.startsWith("hub: "))).toBe(true);
});

test("a damaged state on disk does not keep the gateway from starting", async () => {
  const machine = fakeMachine();
  const authority = await createAuthority();
  const client = await issue(authority, { name: "gw", usage: "client" });
  new StateStore(machine.options.stateDir).saveIdentity({
    gatewayId: "gw",
    siteName: "s",
    hub: "https://127.0.0.1:1",
    via: null,
    caPem: authority.pem,
    certificatePem: client.pem,
    privateKeyPem: client.keyPem,
  });
  writeFileSync(join(machine.options.stateDir, "desired.json"), "{");
  running = await runAgent({ ...machine.options, config: null });
  expect(machine.logs[0]).toMatch(/stored state cannot be used/);
  expect((await askAgent(machine.options.socket, { kind: "status" })).ok).toBe(true);
});

test("when the data plane fails, device, ports and links are set up anew", async () => {
  const machine = fakeMachine();
  running = await runAgent({ ...machine.options, config: writeConfig(exampleYaml) });
  machine.inputs();
  machine.planes[0]!.emit({ kind: "failed", reason: "a worker died" });
  machine.planes[0]!.emit({ kind: "failed", reason: "another worker died" });
  const seen: string[] = [];
  await expect.poll(() => seen.push(...machine.inputs()) && seen).toEqual(["shutdown", "set berlin"]);
  expect(machine.planes[0]!.calls.at(-1)).toBe("close");
  expect(machine.planes.length).toBe(2);
});

test("gateway settings in the file that cannot be had: reload says why, the links are taken, and the next reload tries them again", async () => {
  const machine = fakeMachine();
  machine.faults.mostWorkers = 2;
  running = await runAgent({ ...machine.options, config: writeConfig(exampleYaml) });
  writeConfig(exampleYaml.replace("name: amsterdam", "name: amsterdam\n  inboundWorkers: 4").replace("10.2.0.0/24", "10.9.0.0/24"));
  expect(await running.reload()).toMatchObject({ ok: false, message: expect.stringMatching(/former gateway settings stay in force: .*4 inbound/) });
  expect(machine.ipCalls.at(-1)).toMatch(/route add 10\.9\.0\.0\/24/);
  machine.faults.mostWorkers = 16;
  expect(await running.reload()).toMatchObject({ ok: true });
  const status = parseWhole(observedState, (await askAgent(machine.options.socket, { kind: "status" })).value);
  expect(status.workers).toEqual({ inbound: 4, outbound: 1 });
});

test("while the gateway stops and after that no order is taken: what was read again opens nothing", async () => {
  const machine = fakeMachine();
  running = await runAgent({ ...machine.options, config: writeConfig(exampleYaml) });
  machine.inputs();
  const closed = Promise.withResolvers<void>();
  machine.planes[0]!.close = () => closed.promise;
  writeConfig(exampleYaml.replace("10.2.0.0/24", "10.9.0.0/24"));
  const { reload, stop } = running;
  running = null;
  const stopped = stop();
  const during = reload();
  // The SIGHUP of a supervisor that did not wait, and a command at the socket.
  await expect.poll(() => machine.planes[0]!.calls.at(-1)).toBe("flush");
  await expect(askAgent(machine.options.socket, { kind: "reload" })).rejects.toThrow(/no agent answers/);
  closed.resolve();
  await stopped;
  expect(await during).toMatchObject({ ok: false, message: expect.stringContaining("the gateway is stopping") });
  expect(await reload()).toMatchObject({ ok: false });
  expect([machine.planes.length, machine.inputs()]).toEqual([1, ["shutdown"]]);
});
