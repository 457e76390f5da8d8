import { describe, expect, it } from "vitest";
import type { ObservedChildSa, ObservedIkeSa } from "../../../../contract/observed-state.ts";
import type { LinkDetail, LinkEnd } from "../../../../server/links/read-link.ts";
import { bringUpSteps } from "./bring-up-steps.ts";

describe("bringUpSteps", () => {
  it("names the gateway that is not connected while it waits for the push", () => {
    const steps = bringUpSteps(link({ gateway: "disconnected" }, {}));
    expect(steps.map((step) => step.state)).toEqual(["running", "waiting", "waiting", "waiting", "waiting"]);
    expect(steps[0]?.note).toContain("Amsterdam");
  });
  it("fails the push with the gateway's own reason", () => {
    const steps = bringUpSteps(link({ push: { state: "refused", reason: "unknown proposal" } }, { push: applied }));
    expect(steps[0]).toMatchObject({ state: "failed", note: "Amsterdam refused it: unknown proposal" });
  });
  it("does not take an unanswered IKE_SA_INIT for an answer", () => {
    const states = bringUpSteps(link({ push: applied, ikeSas: [ikeSa({ state: "connecting", spiR: "0".repeat(16) })] }, { push: applied })).map(
      (step) => step.state,
    );
    expect(states).toEqual(["done", "running", "waiting", "waiting", "waiting"]);
  });
  it("puts the latest failure at the step it stopped at", () => {
    const failure = { at: 2, code: "AUTHENTICATION_FAILED", sentence: "The pre-shared keys differ." };
    const steps = bringUpSteps(link({ push: applied, lastFailure: failure, ikeSas: [ikeSa({ state: "connecting" })] }, { push: applied }));
    expect(steps[2]).toMatchObject({ state: "failed", note: "The pre-shared keys differ. The gateways keep trying." });
  });
  it("waits for a packet when the link is on demand, and says so", () => {
    const steps = bringUpSteps({ ...link({ push: applied }, { push: applied }), tunnel: "idle" });
    expect(steps.map((step) => step.state)).toEqual(["done", "waiting", "waiting", "waiting", "waiting"]);
    expect(steps[1]?.note).toContain("first packet");
  });
  it("is done only when a ping was answered", () => {
    const up = { push: applied, ikeSas: [ikeSa({ state: "established", childSas: [child] })] } satisfies Partial<LinkEnd>;
    expect(bringUpSteps(link(up, up)).map((step) => step.state)).toEqual(["done", "done", "done", "done", "running"]);
    expect(bringUpSteps(link({ ...up, probesAnswered: 1 }, up)).every((step) => step.state === "done")).toBe(true);
  });
});

const applied = { state: "applied", reason: null } as const;

function link(a: Partial<LinkEnd>, b: Partial<LinkEnd>): LinkDetail {
  return {
    id: "l",
    name: "l",
    enabled: true,
    tunnel: "negotiating",
    since: null,
    reportedAt: null,
    version: 1,
    preset: "modern",
    method: "psk",
    choices: { isAh: false, mode: "tunnel", inactivitySeconds: 0 },
    halt: null,
    ends: [end("Amsterdam", a), end("Berlin", b)],
  };
}

function end(siteName: string, change: Partial<LinkEnd>): LinkEnd {
  return {
    siteId: siteName,
    siteName,
    gateway: "connected",
    lastHeardAt: null,
    networks: [],
    address: null,
    identity: siteName,
    ikeSas: [],
    lastFailure: null,
    roundTripMs: null,
    probesSent: 0,
    probesAnswered: 0,
    push: { state: "waiting", reason: null },
    ...change,
  };
}

function ikeSa(change: Partial<ObservedIkeSa>): ObservedIkeSa {
  return {
    state: "established",
    role: "initiator",
    spiI: "1".repeat(16),
    spiR: "2".repeat(16),
    suite: "aes256gcm16-prfsha384-x25519",
    postQuantum: false,
    localEndpoint: "192.0.2.1:500",
    remoteEndpoint: "192.0.2.2:500",
    remoteIdentity: "b",
    credentialId: null,
    nat: "none",
    establishedAt: null,
    rekeyAt: null,
    childSas: [],
    ...change,
  };
}

const child: ObservedChildSa = {
  name: "lan",
  state: "established",
  inboundSpi: "00000001",
  outboundSpi: "00000002",
  suite: "aes256gcm16",
  protocol: "esp",
  mode: "tunnel",
  encapsulation: "udp",
  localNetworks: [],
  remoteNetworks: [],
  installedAt: 0,
  rekeyAt: null,
  expiresAt: null,
  closesAt: null,
  bytesIn: 0,
  bytesOut: 0,
  packetsIn: 0,
  packetsOut: 0,
  drops: { replay: 0, integrity: 0, noSa: 0, policy: 0, tooBig: 0, lifetime: 0, malformed: 0, congestion: 0, unsent: 0 },
};
