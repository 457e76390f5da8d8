import { expect, test } from "vitest";
import { observedState } from "../../contract/observed-state.ts";
import type { EspSpi } from "../wire/ikev2/message-types.ts";
import type { LinkSnapshot } from "../ike/endpoint-types.ts";
import { parsePrefix, toSelector } from "./prefix.ts";
import { buildReport, type LinkToReport, tunnelStateOf } from "./reporter.ts";
import { formatStatus } from "./status-text.ts";
import { RecordingPlane } from "./test-doubles.ts";

const endpoint = { address: "192.0.2.1", port: 4_500 };
const up: LinkSnapshot = {
  linkId: "l",
  state: "up",
  since: 5.5,
  lastFailure: null,
  ikeSas: [
    {
      id: "i1",
      state: "established",
      role: "initiator",
      spiI: 1n,
      spiR: 0xabcn,
      suite: "s",
      postQuantum: true,
      local: endpoint,
      remote: { address: "2001:db8::1", port: 4_500 },
      remoteIdentity: "b",
      credentialId: "k1",
      nat: "both",
      establishedAt: 5,
      pathMtu: 1_500,
      rekeyAt: 9.5,
      children: [
        {
          id: "c1",
          name: "lan",
          state: "established",
          inboundSpi: 0xc1 as EspSpi,
          outboundSpi: 0xffffffff as EspSpi,
          suite: "s",
          protocol: "esp",
          mode: "tunnel",
          encapsulation: "udp",
          localSelectors: [toSelector(parsePrefix("10.1.0.0/24")!)],
          remoteSelectors: [toSelector(parsePrefix("10.2.0.0/24")!)],
          installedAt: 5,
          rekeyAt: 6,
          expiresAt: null,
          closesAt: null,
          worker: null,
        },
      ],
    },
  ],
};
const link: LinkToReport = {
  id: "l",
  enabled: true,
  heldReason: null,
  routeFault: null,
  children: [{ name: "lan" }],
  probe: { sent: 2, answered: 2, roundTripMs: 1, lostInARow: 0, fault: null },
};

test("a report is one that the console accepts, with counters of both directions and their drops added", () => {
  const report = buildReport({
    at: 10.7,
    revision: 7,
    agentVersion: "0",
    startedAt: 1,
    plane: new RecordingPlane({ inboundWorkers: 2, outboundWorkers: 3 }),
    links: [link],
    snapshots: new Map([["l", up]]),
    idleSince: new Map(),
    settingsRefusal: "no room",
  });
  expect(observedState.parse(report)).toEqual(report);
  expect(report).toMatchObject({ workers: { inbound: 2, outbound: 3 }, settingsRefusal: "no room" });
  expect(report.links[0]).toMatchObject({ state: "up", since: 5, ikeSas: [{ spiI: "0000000000000001", remoteEndpoint: "[2001:db8::1]:4500" }] });
  expect(report.links[0]!.ikeSas[0]!.childSas[0]).toMatchObject({
    inboundSpi: "000000c1",
    outboundSpi: "ffffffff",
    localNetworks: ["10.1.0.0/24"],
    packetsIn: 3,
    bytesOut: 300,
    drops: { replay: 2 },
  });
});

test("a link's own interface is in its report and in the text of it", () => {
  const inputs = {
    at: 10,
    revision: 7,
    agentVersion: "0",
    startedAt: 1,
    settingsRefusal: null,
    plane: new RecordingPlane(),
    snapshots: new Map([["l", up]]),
    idleSince: new Map(),
  };
  const [without, withOne] = [buildReport({ ...inputs, links: [link] }), buildReport({ ...inputs, links: [{ ...link, device: "culvertx1" }] })];
  expect(observedState.parse(withOne)).toEqual(withOne);
  expect([without, withOne].map(({ links }) => links[0]?.interface)).toEqual([undefined, "culvertx1"]);
  expect(formatStatus(without)).not.toContain("through");
  expect(formatStatus(withOne)).toContain("l: up for 0 s, through culvertx1, round trip");
});

test("up means every child, its routes and its probes; anything less is degraded", () => {
  expect(tunnelStateOf(link, up)).toBe("up");
  expect(tunnelStateOf({ ...link, children: [{ name: "lan" }, { name: "voice" }] }, up)).toBe("degraded");
  expect(tunnelStateOf({ ...link, probe: { ...link.probe, lostInARow: 2 } }, up)).toBe("up");
  expect(tunnelStateOf({ ...link, probe: { ...link.probe, lostInARow: 3 } }, up)).toBe("degraded");
  expect(tunnelStateOf({ ...link, routeFault: "no route" }, up)).toBe("degraded");
  expect(tunnelStateOf({ ...link, enabled: false }, undefined)).toBe("disabled");
  expect(tunnelStateOf(link, undefined)).toBe("down");
  expect(tunnelStateOf(link, { ...up, state: "negotiating" })).toBe("negotiating");
});
