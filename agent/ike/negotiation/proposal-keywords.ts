import { Encr, Esn, Integ, Kex, Prf } from "../../wire/iana.ts";

/*
 * strongSwan's proposal keywords, so that an administrator can paste one: `aes256gcm16-prfsha384-x25519`. Keywords of one kind
 * are alternatives in order of preference. RFC 8221 and RFC 8247 say which algorithms are fit for use; the others are known by
 * name only to be refused with a reason.
 */

export type ProposalProtocol = "ike" | "esp";

export interface Cipher {
  readonly id: Encr;
  /** Null for ciphers of one size, whose transform carries no key length (RFC 7296 §3.3.5). */
  readonly keyLengthBits: number | null;
}

/** What one keyword text allows. `integ` is empty with AEAD ciphers, `prf` with ESP, `esn` with IKE; `kex` of ESP is PFS. */
export interface ProposalSpec {
  readonly protocol: ProposalProtocol;
  readonly text: string;
  readonly encr: readonly Cipher[];
  readonly integ: readonly Integ[];
  readonly prf: readonly Prf[];
  readonly kex: readonly Kex[];
  readonly esn: readonly Esn[];
}

const AEAD_CIPHERS: ReadonlySet<number> = new Set([
  Encr.AES_CCM_8,
  Encr.AES_CCM_12,
  Encr.AES_CCM_16,
  Encr.AES_GCM_8,
  Encr.AES_GCM_12,
  Encr.AES_GCM_16,
  Encr.CHACHA20_POLY1305,
]);

/** Whether the cipher protects integrity by itself (RFC 5282, RFC 7634). */
export function isAead(encr: number): boolean {
  return AEAD_CIPHERS.has(encr);
}

/**
 * Reads one proposal, e.g. `aes256gcm16-prfsha384-x25519` or `aes256-sha256-modp2048`. Throws RangeError with a sentence for
 * an unknown, refused or missing keyword.
 */
export function parseProposal(text: string, protocol: ProposalProtocol): ProposalSpec {
  const encr: Cipher[] = [];
  const integ: Integ[] = [];
  const prf: Prf[] = [];
  const kex: Kex[] = [];
  const esn: Esn[] = [];
  for (const word of text.trim().toLowerCase().split("-")) {
    if (word === "") throw new RangeError(`"${text}" has an empty keyword.`);
    const cipher = cipherOf(word);
    if (cipher !== null) encr.push(cipher);
    else if (Object.hasOwn(INTEGRITY, word)) integ.push(INTEGRITY[word]!);
    else if (Object.hasOwn(PRFS, word)) prf.push(PRFS[word]!);
    else if (Object.hasOwn(KEX, word)) kex.push(KEX[word]!);
    else if (word === "esn" || word === "noesn") esn.push(word === "esn" ? Esn.ESN : Esn.NONE);
    else throw new RangeError(refusal(word, text));
  }
  return complete(text, protocol, { encr, integ, prf, kex, esn });
}

/** The keywords of one combination of algorithms, e.g. of the suite that was chosen. */
export function formatAlgorithms(parts: {
  readonly encr: number;
  readonly keyLengthBits: number | null;
  readonly integ: number;
  readonly prf?: number | undefined;
  readonly kex?: number | undefined;
  readonly esn?: number | undefined;
}): string {
  const words = [formatCipher(parts.encr, parts.keyLengthBits)];
  if (parts.integ !== Integ.NONE) words.push(keywordOf(INTEGRITY, parts.integ));
  if (parts.prf !== undefined) words.push(keywordOf(PRFS, parts.prf));
  if (parts.kex !== undefined && parts.kex !== Kex.NONE) words.push(formatKex(parts.kex));
  if (parts.esn === Esn.ESN) words.push("esn");
  return words.join("-");
}

/** `aes256gcm16`; a number that has no keyword comes out as `encr_<number>`. */
export function formatCipher(id: number, keyLengthBits: number | null): string {
  if (id === Encr.CHACHA20_POLY1305) return "chacha20poly1305";
  const suffix = AES_SUFFIX[id];
  if (suffix === undefined) return `encr_${id}${keyLengthBits === null ? "" : `_${keyLengthBits}`}`;
  return `aes${keyLengthBits ?? "?"}${suffix}`;
}

export function formatInteg(id: number): string {
  return id === Integ.NONE ? "none" : keywordOf(INTEGRITY, id, "integ");
}

export function formatPrf(id: number): string {
  return keywordOf(PRFS, id, "prf");
}

export function formatKex(id: number): string {
  return id === Kex.NONE ? "none" : keywordOf(KEX, id, "group");
}

const AES_SUFFIX: Readonly<Record<number, string>> = {
  [Encr.AES_CBC]: "",
  [Encr.AES_CTR]: "ctr",
  [Encr.AES_CCM_8]: "ccm8",
  [Encr.AES_CCM_12]: "ccm12",
  [Encr.AES_CCM_16]: "ccm16",
  [Encr.AES_GCM_8]: "gcm8",
  [Encr.AES_GCM_12]: "gcm12",
  [Encr.AES_GCM_16]: "gcm16",
};

const AES_MODES: Readonly<Record<string, Encr>> = {
  "": Encr.AES_CBC,
  ctr: Encr.AES_CTR,
  gcm: Encr.AES_GCM_16,
  gcm8: Encr.AES_GCM_8,
  gcm64: Encr.AES_GCM_8,
  gcm12: Encr.AES_GCM_12,
  gcm96: Encr.AES_GCM_12,
  gcm16: Encr.AES_GCM_16,
  gcm128: Encr.AES_GCM_16,
  ccm: Encr.AES_CCM_16,
  ccm8: Encr.AES_CCM_8,
  ccm64: Encr.AES_CCM_8,
  ccm12: Encr.AES_CCM_12,
  ccm96: Encr.AES_CCM_12,
  ccm16: Encr.AES_CCM_16,
  ccm128: Encr.AES_CCM_16,
};

/** The first keyword of a number is the one that is printed. */
const INTEGRITY: Readonly<Record<string, Integ>> = {
  sha256: Integ.HMAC_SHA2_256_128,
  sha2_256: Integ.HMAC_SHA2_256_128,
  sha384: Integ.HMAC_SHA2_384_192,
  sha2_384: Integ.HMAC_SHA2_384_192,
  sha512: Integ.HMAC_SHA2_512_256,
  sha2_512: Integ.HMAC_SHA2_512_256,
};

const PRFS: Readonly<Record<string, Prf>> = {
  prfsha256: Prf.HMAC_SHA2_256,
  prfsha384: Prf.HMAC_SHA2_384,
  prfsha512: Prf.HMAC_SHA2_512,
};

const KEX: Readonly<Record<string, Kex>> = {
  x25519: Kex.X25519,
  curve25519: Kex.X25519,
  x448: Kex.X448,
  curve448: Kex.X448,
  ecp256: Kex.ECP_256,
  ecp384: Kex.ECP_384,
  ecp521: Kex.ECP_521,
  modp2048: Kex.MODP_2048,
  modp3072: Kex.MODP_3072,
  modp4096: Kex.MODP_4096,
  modp6144: Kex.MODP_6144,
  modp8192: Kex.MODP_8192,
};

/** With a classic cipher the PRF defaults to the hash of the integrity algorithm, as strongSwan does. */
const PRF_OF_INTEG: Readonly<Partial<Record<Integ, Prf>>> = {
  [Integ.HMAC_SHA2_256_128]: Prf.HMAC_SHA2_256,
  [Integ.HMAC_SHA2_384_192]: Prf.HMAC_SHA2_384,
  [Integ.HMAC_SHA2_512_256]: Prf.HMAC_SHA2_512,
};

const REFUSED: readonly (readonly [RegExp, string])[] = [
  [/^(des|3des|des3|blowfish|cast|camellia|twofish)/, "is a cipher that is weak or out of use (RFC 8247)"],
  [/^(prf)?md5/, "is broken (RFC 8247)"],
  [/^(prf)?sha1?(_160)?$/, "is SHA-1, which is too weak for new tunnels (RFC 8247)"],
  [/^(modp(768|1024|1536)|modp.*s(160|224|256)|ecp(192|224))$/, "is a group that is too small (RFC 8247)"],
  [/^null/, "does not encrypt"],
  [/^ke[1-7]_/, "asks for an additional key exchange (RFC 9370), which this version does not do"],
];

function refusal(word: string, text: string): string {
  for (const [pattern, why] of REFUSED) if (pattern.test(word)) return `"${word}" in "${text}" ${why}.`;
  return `"${word}" in "${text}" is not a known algorithm.`;
}

function cipherOf(word: string): Cipher | null {
  if (word === "chacha20poly1305") return { id: Encr.CHACHA20_POLY1305, keyLengthBits: null };
  const match = /^aes(128|192|256)?((?:ctr|gcm|ccm)?[0-9]*)$/.exec(word);
  if (match === null) return null;
  const id = AES_MODES[match[2]!];
  return id === undefined ? null : { id, keyLengthBits: Number(match[1] ?? 128) };
}

type Parts = Pick<ProposalSpec, "encr" | "integ" | "prf" | "kex" | "esn">;

function complete(text: string, protocol: ProposalProtocol, parts: Parts): ProposalSpec {
  const { encr, integ, kex } = parts;
  if (encr.length === 0) throw new RangeError(`"${text}" names no cipher.`);
  const aead = encr.filter((cipher) => isAead(cipher.id)).length;
  // RFC 7296 §3.3: combined-mode ciphers and others cannot share a proposal.
  if (aead !== 0 && aead !== encr.length) throw new RangeError(`"${text}" mixes ciphers that need an integrity algorithm with ones that do not.`);
  if (aead !== 0 && integ.length > 0 && (protocol === "esp" || parts.prf.length > 0)) {
    throw new RangeError(`"${text}" has an integrity algorithm, which its cipher does not need.`);
  }
  if (aead === 0 && integ.length === 0) throw new RangeError(`"${text}" needs an integrity algorithm such as sha256.`);
  if (protocol === "esp") {
    if (parts.prf.length > 0) throw new RangeError(`"${text}" names a PRF, which ESP does not have.`);
    return { protocol, text, ...parts, esn: parts.esn.length === 0 ? [Esn.NONE] : parts.esn };
  }
  if (parts.esn.length > 0) throw new RangeError(`"${text}" has an ESN keyword, which belongs to ESP.`);
  if (kex.length === 0) throw new RangeError(`"${text}" needs a key exchange such as x25519.`);
  // strongSwan's shorthand: with an AEAD cipher `sha256` names the PRF.
  const prf = parts.prf.length > 0 ? parts.prf : integ.map((id) => PRF_OF_INTEG[id]!);
  if (prf.length === 0) throw new RangeError(`"${text}" needs a PRF such as prfsha256.`);
  return { protocol, text, encr, integ: aead === 0 ? integ : [], prf, kex, esn: [] };
}

function keywordOf(table: Readonly<Record<string, number>>, id: number, kind = "unknown"): string {
  for (const [word, value] of Object.entries(table)) if (value === id) return word;
  return `${kind}_${id}`;
}
