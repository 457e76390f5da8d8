import fc from "fast-check";
import { expect, test } from "vitest";
import { parseCommandLine, UsageError } from "./command-line.ts";
import { parseIdentity } from "./identity-text.ts";
import { defaultTunMtu, innerMtu, linkMtu } from "./mtu.ts";
import { stateOfLinks } from "./test-doubles.ts";
import { contains, formatPrefix, formatSelector, overlaps, parsePrefix, toSelector } from "./prefix.ts";
import { decodePem, decodeSecret } from "./secret-source.ts";

test("a prefix is read back from its text, and its selector prints as that text", () => {
  fc.assert(
    fc.property(fc.oneof(fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })), fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 }))), ([address, length]) => {
      const prefix = parsePrefix(`${address}/${length}`);
      if (prefix === null) throw new Error("not read");
      const text = formatPrefix(prefix);
      expect(parsePrefix(text)).toEqual({ ...prefix, isCanonical: true });
      expect(formatSelector(toSelector(prefix))).toBe(text);
      expect(overlaps(prefix, prefix) && contains(prefix, prefix)).toBe(true);
    }),
  );
});

test("what is no prefix is not read", () => {
  for (const text of ["10.1.0.0", "10.1.0.0/33", "10.1.0/24", "::/129", "/8", "10.1.0.0/-1", "x/8"]) expect(parsePrefix(text)).toBeNull();
});

test("a range that is no prefix, a protocol and ports are shown as they are", () => {
  const selector = {
    ...toSelector(parsePrefix("10.1.0.0/24")!),
    startAddress: 0x0a010005n,
    endAddress: 0x0a010009n,
    ipProtocol: 6,
    startPort: 80,
    endPort: 90,
  };
  expect(formatSelector(selector)).toBe("10.1.0.5-10.1.0.9[6/80-90]");
});

test("secrets are text, 0x hexadecimal or 0s base64", () => {
  expect(decodeSecret("0x00ff")).toEqual(new Uint8Array([0, 255]));
  expect(decodeSecret("0sAP8=")).toEqual(new Uint8Array([0, 255]));
  expect(decodeSecret("päss")).toEqual(new TextEncoder().encode("päss"));
  for (const text of ["", "0x", "0xabc", "0xzz", "0s!"]) expect(() => decodeSecret(text)).toThrow();
});

test("PEM blocks come out in order and a missing label is named", () => {
  const pem = "-----BEGIN CERTIFICATE-----\nAQI=\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nAw==\n-----END CERTIFICATE-----\n";
  expect(decodePem(pem, "CERTIFICATE")).toEqual([new Uint8Array([1, 2]), new Uint8Array([3])]);
  expect(() => decodePem(pem, "PRIVATE KEY")).toThrow('no PEM block "PRIVATE KEY" found (found: CERTIFICATE)');
});

test("an identity's kind follows from its form", () => {
  expect(parseIdentity("192.0.2.1")).toEqual({ kind: "ipv4", address: "192.0.2.1" });
  expect(parseIdentity("2001:DB8:0::1")).toEqual({ kind: "ipv6", address: "2001:db8::1" });
  expect(parseIdentity("CN=amsterdam, O=x")).toEqual({ kind: "dn", name: "CN=amsterdam, O=x" });
  expect(parseIdentity("a@b.example")).toEqual({ kind: "email", name: "a@b.example" });
  expect(parseIdentity("@gw")).toEqual({ kind: "fqdn", name: "gw" });
  expect(parseIdentity("gw.example")).toEqual({ kind: "fqdn", name: "gw.example" });
});

test("the largest inner packet, padded and encapsulated, fits the path, and one alignment more does not", () => {
  const suites = [
    { iv: 8, icv: 16, alignment: 4 },
    { iv: 16, icv: 16, alignment: 16 },
    { iv: 16, icv: 32, alignment: 16 },
  ];
  for (const suite of suites) {
    for (const family of [4, 6] as const) {
      const outerSize = (inner: number) => (family === 4 ? 20 : 40) + 8 + 8 + suite.iv + Math.ceil((inner + 2) / suite.alignment) * suite.alignment + suite.icv;
      const mtu = innerMtu(1_500, family, suite);
      expect(outerSize(mtu)).toBeLessThanOrEqual(1_500);
      expect(outerSize(mtu + 1)).toBeGreaterThan(1_500);
    }
  }
  expect(defaultTunMtu).toBe(1_438);
  const link = stateOfLinks(1).links[0]!;
  const either = { ...link.esp, proposals: ["aes256gcm16", "aes256-sha512"] };
  expect(linkMtu({ esp: either }, 6)).toBe(innerMtu(1_500, 6, { iv: 16, icv: 32, alignment: 16 }));
  // AH: 12 octets and the ICV behind the outer header, filled up to 4 or 8.
  expect(linkMtu({ esp: either, ah: { proposals: ["sha256", "sha512-x25519"] } }, 4)).toBe(1_500 - 20 - 44);
  expect(linkMtu({ esp: either, ah: { proposals: ["sha256"] } }, 6)).toBe(1_500 - 40 - 32);
});

test("the forms of the command line", () => {
  const read = (text: string) =>
    parseCommandLine(
      text.split(" ").filter((word) => word !== ""),
      {},
    );
  expect(read("--config site.yaml")).toEqual({ kind: "run", config: "site.yaml", stateDir: "/var/lib/culvert-agent", socket: "/run/culvert-agent.sock" });
  expect(read("run --state-dir /d")).toEqual({ kind: "run", config: null, stateDir: "/d", socket: "/d/agent.sock" });
  expect(read("status --json --socket /s")).toEqual({ kind: "status", socket: "/s", json: true });
  expect(read("rekey l --ike")).toMatchObject({ command: { name: "rekey", linkId: "l", what: "ike" } });
  expect(read("rekey l")).toMatchObject({ command: { what: "all" } });
  expect(read("trace l")).toMatchObject({ command: { name: "trace", linkId: "l" } });
  expect(read("enrol --hub https://h:1 --token t --via unix:/s")).toEqual({
    kind: "enrol",
    hub: "https://h:1",
    token: "t",
    via: "unix:/s",
    stateDir: "/var/lib/culvert-agent",
  });
  expect(read("")).toEqual({ kind: "help" });
  for (const text of ["up", "explode l", "rekey a b", "--nonsense", "check", "enrol --hub https://h:1", "probe l --count 0"])
    expect(() => read(text), text).toThrow(UsageError);
});
