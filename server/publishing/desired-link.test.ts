import { describe, expect, it } from "vitest";
import { defaultEspProposals, defaultIkeProposals } from "../../contract/proposals.ts";
import type { LinkConfig } from "../links/link-config.ts";
import { desiredLink, laterLifetime } from "./desired-link.ts";

const config = (peer: LinkConfig["peer"], seconds: number): LinkConfig => ({
  name: "Link",
  siteAId: "a",
  enabled: true,
  method: "psk",
  identityA: "a.example",
  networksA: ["10.1.0.0/24"],
  networksB: ["10.2.0.0/24"],
  peer,
  preset: "default",
  bringUp: "atOnce",
  revocation: "soft",
  encapsulation: "auto",
  mode: "tunnel",
  inactivitySeconds: 0,
  ah: null,
  ike: {
    proposals: [...defaultIkeProposals],
    rekeySeconds: seconds,
    reauthenticateSeconds: 0,
    livenessSeconds: 10,
    livenessAction: "restart",
    childless: false,
  },
  esp: { proposals: [...defaultEspProposals], rekeySeconds: Math.ceil(seconds / 4), replayWindowPackets: 1_024 },
});

const told = (link: LinkConfig, end: "A" | "B", addressB: string | null = "198.51.100.1") =>
  desiredLink({
    linkId: "l",
    config: link,
    end,
    addressA: "192.0.2.1",
    addressB,
    authentication: { method: "psk", keys: [{ id: "k", secret: "s" }], use: "k" },
  });

/** When an end rekeys, with what the engine's jitter makes of it. */
const window = (seconds: number): readonly [number, number] => [seconds * 0.9, seconds];

describe("what the two gateways of a link are told", () => {
  it("never has them rekey at the same time, and the end that starts has the lifetime that was asked for", () => {
    for (let seconds = 60; seconds < 40_000; seconds += 37) {
      const link = config({ kind: "site", siteId: "b", identity: "b.example" } as LinkConfig["peer"], seconds);
      for (const [first, second] of [
        [told(link, "A"), told(link, "B")],
        [told(link, "B", null), told(link, "A", null)],
      ] as const) {
        expect([first.initiate, second.initiate]).toEqual(["start", "respond"]);
        for (const kind of ["ike", "esp"] as const) {
          const [starts, waits] = [first[kind]!.rekeySeconds!, second[kind]!.rekeySeconds!];
          expect(starts).toBe(link[kind].rekeySeconds);
          expect(window(waits)[0]).toBeGreaterThan(window(starts)[1]);
          expect(waits).toBeLessThan(starts * 1.2 + 2);
        }
      }
    }
  });

  it("leaves the lifetime towards a foreign peer as it is, and within what a gateway takes", () => {
    const foreign = config({ kind: "third-party", address: "198.51.100.9", identity: "f.example" } as LinkConfig["peer"], 14_400);
    expect(told(foreign, "A").ike!.rekeySeconds).toBe(14_400);
    expect(laterLifetime(31_536_000)).toBe(31_536_000);
  });
});
