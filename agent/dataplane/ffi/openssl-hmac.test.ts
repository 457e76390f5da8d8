import { createHmac, randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import type { HmacHash } from "../../crypto/hmac.ts";
import { opensslHmac } from "./openssl-hmac.ts";

const hashes: readonly HmacHash[] = ["sha256", "sha384", "sha512"];
/** Around a block of the hash, and around the room that parts are gathered in. */
const lengths = [0, 1, 63, 64, 65, 127, 128, 129, 1_500, 32_767, 32_768, 32_769, 70_000];

test.each(hashes)("gives what node:crypto gives for HMAC with %s, whatever the lengths, one after the other in the same context", (hash) => {
  const hmac = opensslHmac();
  for (const keyOctets of [0, 1, 48, 64, 129, 200]) {
    for (const octets of lengths) {
      const [key, first, second] = [randomBytes(keyOctets), randomBytes(octets), randomBytes(33)];
      const expected = createHmac(hash, key).update(first).update(second).digest();
      expect(Buffer.from(hmac(hash, key, [first, second])).equals(expected), `a key of ${keyOctets} octets, ${octets} of data`).toBe(true);
    }
  }
  const key = randomBytes(32);
  expect(Buffer.from(hmac(hash, key, []))).toEqual(createHmac(hash, key).digest());
});

test("what was given out is not touched by what comes after", () => {
  const hmac = opensslHmac();
  const first = hmac("sha256", Uint8Array.of(1), [Uint8Array.of(2)]);
  const before = first.slice();
  hmac("sha256", Uint8Array.of(3), [Uint8Array.of(4)]);
  expect(first).toEqual(before);
});
