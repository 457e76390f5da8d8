import { expect, test } from "vitest";
import type { SaKeys } from "../crypto/sa-keys.ts";
import type { Effect } from "../ike/endpoint-types.ts";
import type { InboundSa, OutboundPolicy } from "../ipsec/security-association.ts";
import { Encr, Integ } from "../wire/iana.ts";
import { Driver, type IkeTransport } from "./driver.ts";
import { RecordingPlane, ScriptedEndpoint } from "./test-doubles.ts";

const remote = { address: "198.51.100.1", port: 500 };
const sa = { direction: "inbound", childSaId: "c1", spi: 0x1000, keys: someKeys() } as InboundSa;

function someKeys(): SaKeys {
  return {
    encr: Encr.AES_CBC,
    encryptionKey: new Uint8Array(16).fill(1),
    salt: new Uint8Array(4).fill(2),
    integ: Integ.HMAC_SHA2_256_128,
    integrityKey: new Uint8Array(32).fill(3),
  };
}

function setUp() {
  const plane = new RecordingPlane();
  const endpoint = new ScriptedEndpoint();
  const faults: string[] = [];
  const transport: IkeTransport = {
    send: async (_local, _remote, bytes) => void plane.calls.push(`send ${bytes.length}`),
    sendAtOnce: (_local, _remote, bytes) => void plane.calls.push(`at once ${bytes.length}`),
    localAddressFor: () => "192.0.2.1",
  };
  const now = { value: 1_000 };
  const driver = new Driver({
    endpoint,
    plane,
    transport,
    natPort: 4_500,
    clock: { now: () => now.value, wallNow: () => now.value },
    onEvent: (event) => plane.calls.push(event.kind),
    onTrace: () => undefined,
    onRevocationQuery: () => undefined,
    onPlaneFault: (fault) => faults.push(`plane: ${fault.kind}`),
    onPlaneFailed: (reason) => faults.push(`plane: ${reason}`),
    onFault: (sentence) => faults.push(sentence),
  });
  return { plane, endpoint, driver, faults, now };
}

const transmit = (length: number, encapsulated = false): Effect => ({ kind: "transmit", local: null, remote, bytes: new Uint8Array(length), encapsulated });

test("an SA is installed before the message after it leaves, and before the next input is handled", async () => {
  const { plane, endpoint, driver } = setUp();
  plane.delayMs = 10;
  endpoint.respond = (input) => (input.kind === "up" ? [{ kind: "installSa", sa }, transmit(1)] : [transmit(2)]);
  await Promise.all([driver.submit({ kind: "up", linkId: "l" }), driver.submit({ kind: "down", linkId: "l" })]);
  expect(plane.calls).toEqual(["install inbound begin", "install inbound end", "send 1", "send 2"]);
});

test("messages that wait together have their SAs installed together, and each of them sends only what its own SA allows", async () => {
  const { plane, endpoint, driver } = setUp();
  plane.delayMs = 10;
  const message = (length: number) => driver.submit({ kind: "datagram", local: remote, remote, bytes: new Uint8Array(length) });
  endpoint.respond = (input) =>
    input.kind === "datagram" ? [transmit(input.bytes.length), { kind: "installSa", sa }, transmit(input.bytes.length + 10), { kind: "installSa", sa }] : [];
  await Promise.all([message(1), message(2), message(3), driver.submit({ kind: "timer" })]);
  const three = (call: string) => [call, call, call];
  const installs = [...three("install inbound begin"), ...three("install inbound end")];
  expect(plane.calls).toEqual(["send 1", "send 2", "send 3", ...installs, "send 11", "send 12", "send 13", ...installs]);
  expect(endpoint.inputs.map(({ kind }) => kind)).toEqual(["datagram", "datagram", "datagram", "timer"]);
});

test("of messages that wait together the later does not end an SA before the earlier has taken its policy elsewhere", async () => {
  const { plane, endpoint, driver } = setUp();
  plane.delayMs = 10;
  const policy: OutboundPolicy = { id: "l/net", localSelectors: [], remoteSelectors: [], action: { kind: "protect", spi: sa.spi } };
  const lists: Effect[][] = [
    [transmit(1), { kind: "installPolicy", policy }],
    [{ kind: "installSa", sa }, { kind: "deleteSa", direction: "outbound", spi: sa.spi }, transmit(2)],
  ];
  endpoint.respond = () => lists.shift() ?? [];
  const message = () => driver.submit({ kind: "datagram", local: remote, remote, bytes: new Uint8Array(1) });
  await Promise.all([message(), message()]);
  expect(plane.calls).toEqual(["install inbound begin", "install inbound end", "send 1", "policy protect", "delete", "send 2"]);
});

test.each([null, "no room"])("the keys of an SA are whole while the plane takes it and erased afterwards (refusal: %s)", async (refusal) => {
  const { plane, endpoint, driver } = setUp();
  const keys = someKeys();
  const seen: number[] = [];
  plane.installSa = async (given) => {
    seen.push(...given.keys.encryptionKey);
    if (refusal !== null) throw new Error(refusal);
  };
  endpoint.respond = (input) => (input.kind === "up" ? [{ kind: "installSa", sa: { ...sa, keys } }] : []);
  await driver.submit({ kind: "up", linkId: "l" });
  expect(seen).toEqual(Array(16).fill(1));
  expect([...keys.encryptionKey, ...keys.salt, ...keys.integrityKey]).toEqual(Array(52).fill(0));
});

test("a refused SA is told to the engine before any other waiting input, and the other effects still run", async () => {
  const { plane, endpoint, driver, faults } = setUp();
  plane.refusal = "no room";
  endpoint.respond = (input) => (input.kind === "up" ? [{ kind: "installSa", sa }, transmit(1)] : []);
  await Promise.all([driver.submit({ kind: "up", linkId: "l" }), driver.submit({ kind: "down", linkId: "l" })]);
  expect(endpoint.inputs).toEqual([
    { kind: "up", linkId: "l" },
    { kind: "installFailed", childSaId: "c1", reason: "no room" },
    { kind: "down", linkId: "l" },
  ]);
  expect(plane.calls).toContain("send 1");
  expect(faults).toEqual(["installSa failed: no room"]);
});

test("an encapsulated message goes out of the plane's port, from the address that the route uses", async () => {
  const { plane, endpoint, driver } = setUp();
  endpoint.respond = () => [transmit(9, true)];
  await driver.submit({ kind: "timer" });
  expect(plane.calls).toEqual(["sendIke 192.0.2.1:4500 9"]);
});

test("a bug that one datagram brings out is reported and the next input is handled", async () => {
  const { plane, endpoint, driver, faults } = setUp();
  endpoint.respond = (input) => {
    if (input.kind === "datagram") throw new TypeError("index out of range");
    return [transmit(3)];
  };
  await driver.submit({ kind: "datagram", local: remote, remote, bytes: new Uint8Array(28) });
  await driver.submit({ kind: "timer" });
  expect(faults[0]).toContain("a datagram of 28 octets from 198.51.100.1: TypeError: index out of range");
  expect(plane.calls).toEqual(["send 3"]);
});

test("the engine's timer is handed in when it is due, and none after shutdown", async () => {
  const { endpoint, driver, now } = setUp();
  endpoint.timer = { at: 1_020, reason: "retransmit" };
  endpoint.respond = (input) => {
    if (input.kind === "timer") endpoint.timer = null;
    return [];
  };
  await driver.submit({ kind: "up", linkId: "l" });
  now.value = 1_020;
  await expect.poll(() => endpoint.inputs.filter((input) => input.kind === "timer").length).toBe(1);
  endpoint.timer = { at: 1_020, reason: "retransmit" };
  await driver.shutdown();
  await driver.submit({ kind: "up", linkId: "l" });
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(endpoint.inputs.map((input) => input.kind)).toEqual(["up", "timer", "shutdown"]);
});

test("messages that come before the links are set wait for them", async () => {
  const { plane, endpoint, driver } = setUp();
  plane.deliver({ local: remote, remote, bytes: new Uint8Array(1) });
  await driver.submit({ kind: "up", linkId: "l" });
  driver.start();
  plane.deliver({ local: remote, remote, bytes: new Uint8Array(2) });
  await expect.poll(() => endpoint.inputs.map((input) => (input.kind === "datagram" ? input.bytes.length : input.kind))).toEqual(["up", 1, 2]);
});

test("a datagram that the engine answers at once takes no place in the queue, and its answer goes out of the port that it came to", async () => {
  const { plane, endpoint, driver } = setUp();
  endpoint.atOnce = new Uint8Array(69);
  driver.receive({ local: remote, remote, bytes: new Uint8Array(1) });
  expect(plane.calls).toEqual([]);
  driver.start();
  expect(plane.calls).toEqual(["at once 69"]);
  driver.receive({ local: { address: "192.0.2.1", port: 4_500 }, remote, bytes: new Uint8Array(1) });
  expect(plane.calls).toEqual(["at once 69", "sendIke 192.0.2.1:4500 69"]);
  expect(endpoint.inputs).toEqual([]);
});

test("events of the plane reach the engine", async () => {
  const { plane, endpoint, driver } = setUp();
  driver.start();
  plane.emit({ kind: "expire", childSaId: "c1", spi: sa.spi, hard: true });
  plane.emit({ kind: "natMappingChanged", childSaId: "c1", spi: sa.spi, remote });
  plane.deliver({ local: remote, remote, bytes: new Uint8Array(1) });
  await expect.poll(() => endpoint.inputs.map((input) => input.kind)).toEqual(["expire", "natMappingChanged", "datagram"]);
});
