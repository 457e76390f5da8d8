import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { masterKeyId, seal, unseal } from "./envelope.ts";

const master = randomBytes(32);
const secret = Buffer.from("a pre-shared key that must not leak");

describe("envelope", () => {
  it("opens what it sealed, under the same master key and context", () => {
    expect(Buffer.from(unseal(master, "row", seal(master, "row", secret)))).toEqual(secret);
  });
  it("holds nothing of the secret in clear", () => {
    const envelope = seal(master, "row", secret);
    expect(Buffer.concat([envelope.ciphertext, envelope.wrappedKey]).includes("pre-shared")).toBe(false);
  });
  it("does not open in another row, under another key, or with a bit flipped", () => {
    const envelope = seal(master, "row", secret);
    expect(() => unseal(master, "other", envelope)).toThrow();
    expect(() => unseal(randomBytes(32), "row", envelope)).toThrow();
    const damaged = new Uint8Array(envelope.ciphertext);
    damaged[0] = (damaged[0] ?? 0) ^ 1;
    expect(() => unseal(master, "row", { ...envelope, ciphertext: damaged })).toThrow();
  });
  it("never uses a data key or a nonce twice", () => {
    const [a, b] = [seal(master, "row", secret), seal(master, "row", secret)];
    expect(Buffer.from(a.ciphertext)).not.toEqual(Buffer.from(b.ciphertext));
    expect(Buffer.from(a.nonce)).not.toEqual(Buffer.from(b.nonce));
  });
  it("names the master key the same each time", () => {
    expect(seal(master, "row", secret).masterKeyId).toBe(masterKeyId(master));
  });
});
