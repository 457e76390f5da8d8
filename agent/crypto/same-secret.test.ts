import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { sameSecret } from "./same-secret.ts";

const agent = join(import.meta.dirname, "..");

it("is true for the same octets and false for one changed bit or another length", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 80 }), fc.nat(), (octets, at) => {
      const other = octets.slice();
      const index = at % octets.length;
      other[index] = other[index]! ^ (1 << (at % 8));
      expect(sameSecret(octets, octets.slice())).toBe(true);
      expect(sameSecret(octets, other)).toBe(false);
      expect(sameSecret(octets, octets.subarray(1))).toBe(false);
    }),
    { seed: 1 },
  );
});

it("is what every module compares a code with that it has computed itself under a secret", () => {
  // Named are those that derive keys, put the code behind what they send, or have `verifyIcv` compare.
  const others = [
    "crypto/esp-cipher.ts",
    "crypto/hmac.ts",
    "crypto/prf.ts",
    "crypto/sk-protection.ts",
    "ike/negotiation/intermediate-auth.ts",
    "ike/negotiation/key-schedule.ts",
  ];
  const makers = sources().filter(([, text]) => /\b(createHmac|computeHmac|computePrf|computeIcv)\(/.test(text));
  const comparing = makers.filter(([, text]) => text.includes("sameSecret(")).map(([path]) => path);
  const rest = makers.map(([path]) => path).filter((path) => !comparing.includes(path));
  expect(comparing).toEqual([
    "crypto/integ.ts",
    "crypto/packet-algorithms.ts",
    "crypto/pkcs12-protection.ts",
    "ike/negotiation/authentication.ts",
    "ike/negotiation/cookie.ts",
  ]);
  expect(rest.filter((path) => !others.includes(path))).toEqual([]);
});

/** Path below agent/ and text of every module that is part of the agent. */
function sources(): [string, string][] {
  return readdirSync(agent, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts") && !path.endsWith(".test.ts") && !path.startsWith("testing"))
    .sort()
    .map((path) => [path, readFileSync(join(agent, path), "utf8")]);
}
