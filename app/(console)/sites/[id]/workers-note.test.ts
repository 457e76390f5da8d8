import { expect, test } from "vitest";
import type { GatewayView } from "../../../../server/sites/list-sites.ts";
import { coresText, workersConsequence, workersNote } from "./workers-note.ts";

const one = { outbound: 1, inbound: 1 };
const four = { outbound: 4, inbound: 4 };

function gatewayWith(change: Partial<GatewayView>): GatewayView {
  return {
    ...{ state: "connected", lastHeardAt: null, hostname: null, address: null, version: "0.1.0", plane: "tun", planeReason: null },
    ...{ processors: 8, workers: { wanted: four, running: one, refusal: null }, certificate: null },
    ...change,
  };
}

test("nothing is said of a gateway that runs what is wanted, of one worker anywhere, or of a revoked one", () => {
  expect(workersNote(gatewayWith({ workers: { wanted: four, running: four, refusal: null } }))).toBeNull();
  for (const state of ["never", "disconnected", "connected"] as const)
    expect(workersNote(gatewayWith({ state, processors: null, workers: { wanted: one, running: null, refusal: null } }))).toBeNull();
  expect(workersNote(gatewayWith({ state: "revoked" }))).toBeNull();
});

test("what is wanted and does not run is explained: who has to do what", () => {
  const said = (change: Partial<GatewayView>) => workersNote(gatewayWith(change));
  expect(said({})).toEqual({ tone: "plain", sentence: "The gateway is taking this now." });
  expect(said({ state: "never", version: null, processors: null })?.sentence).toMatch(/when it is enrolled/);
  expect(said({ state: "disconnected" })?.sentence).toMatch(/not connected/);
  expect(said({ workers: { wanted: four, running: null, refusal: null } })?.sentence).toMatch(/^The kernel protects packets/);
  expect(said({ processors: null, workers: { wanted: four, running: null, refusal: null } })).toMatchObject({
    tone: "warning",
    sentence: expect.stringContaining("0.1.0"),
  });
  expect(said({ workers: { wanted: four, running: one, refusal: "no room" } })).toMatchObject({
    tone: "warning",
    sentence: expect.stringContaining(": no room."),
  });
});

test("before it is saved, what pauses is named, and only where something does", () => {
  expect(workersConsequence(gatewayWith({}), 3)).toMatch(/at once\. Its 3 tunnels pause for a second or two/);
  expect(workersConsequence(gatewayWith({}), 1)).toMatch(/Its tunnel pauses/);
  expect(workersConsequence(gatewayWith({}), 0)).toMatch(/nothing is interrupted/);
  expect(workersConsequence(gatewayWith({ state: "disconnected" }), 2)).toMatch(/takes this when it is\. Its 2 tunnels pause/);
  expect(workersConsequence(gatewayWith({ state: "never" }), 2)).toMatch(/^Nothing is interrupted/);
  expect(workersConsequence(gatewayWith({ workers: { wanted: one, running: null, refusal: null } }), 2)).toMatch(/^Nothing is interrupted: the kernel/);
});

test("one number for both directions is said once", () => {
  expect([coresText(one), coresText(four), coresText({ outbound: 4, inbound: 1 })]).toEqual(["1 core", "4 cores", "4 cores to send, 1 core to receive"]);
});
