import { describe, expect, it } from "vitest";
import { Encr, Esn, Integ, Kex, Prf } from "../../wire/iana.ts";
import { parseProposal } from "./proposal-keywords.ts";

describe("parseProposal", () => {
  it("reads an AEAD suite", () => {
    expect(parseProposal("aes256gcm16-prfsha384-x25519", "ike")).toMatchObject({
      encr: [{ id: Encr.AES_GCM_16, keyLengthBits: 256 }],
      integ: [],
      prf: [Prf.HMAC_SHA2_384],
      kex: [Kex.X25519],
    });
  });

  it("takes the PRF of the integrity algorithm when none is named", () => {
    expect(parseProposal("aes128-sha256-modp2048", "ike")).toMatchObject({ integ: [Integ.HMAC_SHA2_256_128], prf: [Prf.HMAC_SHA2_256], kex: [Kex.MODP_2048] });
  });

  it("keeps alternatives in their order", () => {
    const spec = parseProposal("aes256gcm16-aes128gcm16-chacha20poly1305-x25519-ecp256-esn-noesn", "esp");
    expect(spec.encr.map((cipher) => cipher.keyLengthBits)).toEqual([256, 128, null]);
    expect([spec.kex, spec.esn]).toEqual([
      [Kex.X25519, Kex.ECP_256],
      [Esn.ESN, Esn.NONE],
    ]);
  });

  it("takes strongSwan's other spellings", () => {
    expect(parseProposal("AES256GCM128-prfsha256-curve25519", "ike").encr).toEqual([{ id: Encr.AES_GCM_16, keyLengthBits: 256 }]);
    expect(parseProposal("aes-sha2_512", "esp")).toMatchObject({ encr: [{ keyLengthBits: 128 }], integ: [Integ.HMAC_SHA2_512_256] });
  });

  it("reads additional key exchanges by their number, with alternatives and NONE", () => {
    const spec = parseProposal("aes256gcm16-prfsha384-x25519-ke3_ecp384-ke1_mlkem768-ke1_mlkem1024-ke1_none", "ike");
    expect(spec.additional).toEqual([
      { number: 1, methods: [Kex.ML_KEM_768, Kex.ML_KEM_1024, Kex.NONE] },
      { number: 3, methods: [Kex.ECP_384] },
    ]);
  });

  it("allows the same method twice where another choice leaves each used once", () => {
    expect(() => parseProposal("aes256gcm16-prfsha384-x25519-ecp256-ke1_x25519", "ike")).not.toThrow();
  });

  const refused: readonly (readonly [string, "ike" | "esp", RegExp])[] = [
    ["3des-sha256-modp2048", "ike", /"3des".*weak/],
    ["des-md5", "esp", /"des".*weak/],
    ["aes256-md5", "esp", /"md5".*broken/],
    ["aes256-sha1-modp2048", "ike", /SHA-1/],
    ["aes256-sha256-modp1024", "ike", /"modp1024".*too small/],
    ["aes256gcm16-prfsha384-modp2048s256", "ike", /too small/],
    ["null-sha256", "esp", /does not encrypt/],
    ["aes256gcm16-prfsha384-mlkem768", "ike", /"mlkem768".*write ke1_mlkem768/],
    ["aes256gcm16-prfsha384-x25519-ke8_mlkem768", "ike", /"ke8_mlkem768".*not a known/],
    ["aes256gcm16-prfsha384-x25519-ke1_kyber3", "ike", /"ke1_kyber3".*not a known/],
    ["aes256gcm16-prfsha384-x25519-ke1_x25519", "ike", /each key exchange only once/],
    ["aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke2_mlkem768", "ike", /each key exchange only once/],
    ["aes256gcm16-ke1_mlkem768", "esp", /no first one/],
    ["aes256gcm16-prfsha384-x25518", "ike", /"x25518".*not a known/],
    ["aes256gcm17", "esp", /"aes256gcm17".*not a known/],
    ["aes256-aes256gcm16-sha256", "esp", /mixes ciphers/],
    ["aes256", "esp", /needs an integrity/],
    ["aes256gcm16-sha256", "esp", /does not need/],
    ["aes256gcm16-x25519", "ike", /needs a PRF/],
    ["aes256gcm16-prfsha384", "ike", /needs a key exchange/],
    ["aes256gcm16-prfsha384", "esp", /ESP does not have/],
    ["aes256gcm16-prfsha384-x25519-esn", "ike", /belongs to ESP/],
    ["x25519", "esp", /names no cipher/],
    ["aes256gcm16--x25519", "esp", /empty keyword/],
    ["", "ike", /empty keyword/],
    ["__proto__", "esp", /not a known/],
  ];
  for (const [text, protocol, sentence] of refused) {
    it(`refuses ${protocol} "${text}" with the reason`, () => expect(() => parseProposal(text, protocol)).toThrow(sentence));
  }
});
