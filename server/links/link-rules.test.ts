import { describe, expect, it } from "vitest";
import { type Choices, choiceProblems } from "./link-rules.ts";

const usual: Choices = { isAh: false, encapsulation: "auto", mode: "tunnel", bringUp: "atOnce", inactivitySeconds: 0, networks: ["10.1.0.0/24"] };
const refused = (change: Partial<Choices>) => Object.entries(choiceProblems({ ...usual, ...change })).map(([field, why]) => `${field}: ${why}`);

describe("choices of a link that bear on each other", () => {
  it("are fine as they usually are, and each alone where it can be", () => {
    expect(refused({})).toEqual([]);
    expect(refused({ isAh: true })).toEqual([]);
    expect(refused({ isAh: true, encapsulation: "plain" })).toEqual([]);
    expect(refused({ encapsulation: "udp" })).toEqual([]);
    expect(refused({ bringUp: "onDemand", inactivitySeconds: 60 })).toEqual([]);
    for (const mode of ["transport", "preferTransport"] as const) expect(refused({ mode, networks: ["192.0.2.1/32", "2001:db8::1/128"] })).toEqual([]);
  });

  it("AH is refused with UDP at the encapsulation", () => {
    expect(refused({ isAh: true, encapsulation: "udp" })).toEqual([expect.stringMatching(/^encapsulation: AH does not go in UDP/)]);
  });

  it("a time without traffic is refused for a link that is kept up", () => {
    expect(refused({ inactivitySeconds: 60 })).toEqual([expect.stringMatching(/^inactivitySeconds: .* on demand/)]);
  });

  it("transport mode is refused for a network, which it names, whichever end's and family's it is", () => {
    for (const mode of ["transport", "preferTransport"] as const) {
      expect(refused({ mode, networks: ["192.0.2.1/32", "10.2.0.0/24"] })).toEqual([expect.stringMatching(/^mode: 10\.2\.0\.0\/24 is a network/)]);
      expect(refused({ mode, networks: ["2001:db8::/64"] })).toEqual([expect.stringMatching(/^mode: 2001:db8::\/64 is a network/)]);
    }
  });

  it("are all told at once, and what is no network is left to its own field", () => {
    expect(refused({ isAh: true, encapsulation: "udp", inactivitySeconds: 5, mode: "transport" })).toHaveLength(3);
    expect(refused({ mode: "transport", networks: ["banana"] })).toEqual([]);
  });
});
