import { expect, it } from "vitest";
import { Encr, Esn, Integ, Kex, Prf } from "../../wire/iana.ts";
import { zeroizeSession } from "../session.ts";
import { deriveChildKeys, deriveIkeKeys, deriveRekeyedIkeKeys, deriveUpdatedIkeKeys, type IkeKeys } from "./key-schedule.ts";

const random = { bytes: (length: number) => new Uint8Array(length) };
const facts = { nonceI: new Uint8Array(32).fill(1), nonceR: new Uint8Array(32).fill(2), spiI: 1n, spiR: 2n };
const algorithms = { encr: Encr.AES_CBC, keyLengthBits: 256, integ: Integ.HMAC_SHA2_256_128, kex: Kex.X25519, additional: [] };
const ikeSuite = { ...algorithms, prf: Prf.HMAC_SHA2_256 };
const secret = () => new Uint8Array(32).fill(7);
const first = () => deriveIkeKeys(ikeSuite, facts, secret(), random);

const isErased = (octets: Uint8Array): boolean => octets.every((octet) => octet === 0);

it("erases every shared secret that keys were made of, and never a nonce", () => {
  const secrets = Array.from({ length: 6 }, secret);
  const [inInit, inIntermediate, inRekey, moreInRekey, inChild, moreInChild] = secrets as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  deriveIkeKeys(ikeSuite, facts, inInit, random);
  deriveUpdatedIkeKeys(ikeSuite, first(), facts, inIntermediate, random);
  deriveRekeyedIkeKeys(ikeSuite, first(), facts, inRekey, [moreInRekey], random);
  deriveChildKeys({ ...algorithms, protocol: "esp", esn: Esn.ESN }, first(), facts, inChild, [moreInChild]);
  expect(secrets.map(isErased)).toEqual(secrets.map(() => true));
  expect([facts.nonceI[0], facts.nonceR[0]]).toEqual([1, 2]);
});

it("gives keys that do not depend on what was erased behind them", () => {
  const [one, other] = [first(), first()];
  expect(one.skD).toEqual(other.skD);
  expect([one.skD, one.skPi, one.skPr].some(isErased)).toBe(false);
  expect(opens(one, other)).toBe(true);
  const child = deriveChildKeys({ ...algorithms, protocol: "esp", esn: Esn.ESN }, one, facts, null, []);
  for (const keys of [child.fromInitiator, child.fromResponder]) {
    expect([keys.encryptionKey.length, isErased(keys.encryptionKey), keys.integrityKey.length, isErased(keys.integrityKey)]).toEqual([32, false, 32, false]);
  }
});

it("of an IKE SA that ends are erased: no message of before can be opened with what is left", () => {
  const [ended, other] = [first(), first()];
  zeroizeSession({
    suite: ikeSuite,
    keys: ended,
    nat: "none",
    encapsulated: false,
    fragmentation: false,
    childless: false,
    peerHashes: null,
    requestedAuthorities: null,
  });
  expect([ended.skD, ended.skPi, ended.skPr].every(isErased)).toBe(true);
  expect(() => opens(ended, other)).toThrow(/integrity/);
});

function opens(receiver: IkeKeys, sender: IkeKeys): boolean {
  const aad = Uint8Array.of(9);
  const plain = Uint8Array.of(1, 2, 3);
  return receiver.fromInitiator.open(aad, sender.fromInitiator.seal(aad, plain)).every((octet, index) => octet === plain[index]);
}
