import { describe, expect, it } from "vitest";
import { networksProblem, offersEsn, splitList, usualChoices, withEsn, wizardForm } from "./wizard-form.ts";

const filled = {
  name: "Amsterdam – Berlin",
  siteAId: "a",
  peerKind: "site",
  siteBId: "b",
  peerName: "",
  peerAddress: "",
  peerIdentity: "",
  networksA: "10.1.0.0/24",
  networksB: "10.2.0.0/24 10.3.0.0/24",
  preset: "modern",
  method: "psk",
  secret: "",
  certificateId: "",
  peerAuthorities: "",
  ikeProposals: "aes256gcm16-prfsha384-x25519",
  espProposals: "aes256gcm16-x25519",
  ikeRekeySeconds: 14_400,
  espRekeySeconds: 3_600,
  ...usualChoices,
};

function fieldsRefused(change: Record<string, unknown>): string[] {
  const parsed = wizardForm.safeParse({ ...filled, ...change });
  return parsed.success ? [] : parsed.error.issues.map((issue) => issue.path.join("."));
}

describe("wizardForm", () => {
  it("takes a filled form", () => expect(fieldsRefused({})).toEqual([]));
  it("refuses a malformed network at its own field and quotes it", () => {
    expect(fieldsRefused({ networksA: "10.1.0.0/33" })).toEqual(["networksA"]);
    expect(networksProblem("10.1.0.0/24, banana")).toContain("“banana”");
  });
  it("refuses a link from a site to itself", () => expect(fieldsRefused({ siteBId: "a" })).toEqual(["siteBId"]));
  it("asks a third-party peer for name, address and identity", () => {
    expect(fieldsRefused({ peerKind: "third-party", siteBId: "" })).toEqual(["peerName", "peerAddress", "peerIdentity"]);
  });
  it("refuses at its field a replay window that no gateway has", () => {
    expect(fieldsRefused({ replayWindowPackets: 32 })).toEqual(["replayWindowPackets"]);
    expect(fieldsRefused({ replayWindowPackets: Number.NaN })).toEqual(["replayWindowPackets"]);
  });
  it("refuses at its field what does not go together, and what AH needs", () => {
    expect(fieldsRefused({ protocol: "ah", encapsulation: "udp" })).toEqual(["encapsulation"]);
    expect(fieldsRefused({ protocol: "ah", ahProposals: " " })).toEqual(["ahProposals"]);
    expect(fieldsRefused({ ahProposals: "" })).toEqual([]);
    expect(fieldsRefused({ inactivitySeconds: 60 })).toEqual(["inactivitySeconds"]);
    expect(fieldsRefused({ inactivitySeconds: 60, bringUp: "onDemand" })).toEqual([]);
    expect(fieldsRefused({ inactivitySeconds: Number.NaN })).toEqual(["inactivitySeconds"]);
    expect(fieldsRefused({ mode: "transport" })).toEqual(["mode"]);
    expect(fieldsRefused({ mode: "transport", networksA: "192.0.2.1/32", networksB: "198.51.100.1/32" })).toEqual([]);
  });
  it("writes extended sequence numbers into every ESP proposal and takes them out again", () => {
    const plain = "aes256gcm16-x25519\naes128gcm16";
    expect(withEsn(plain, true)).toBe("aes256gcm16-x25519-esn-noesn\naes128gcm16-esn-noesn");
    expect([offersEsn(withEsn(plain, true)), offersEsn(plain), offersEsn("")]).toEqual([true, false, false]);
    expect(withEsn(withEsn(plain, true), false)).toBe(plain);
  });
  it("splits lists at commas, spaces and lines", () => expect(splitList(" a,b\n c ,, ")).toEqual(["a", "b", "c"]));
});
