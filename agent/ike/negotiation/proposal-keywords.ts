import { Encr, Esn, Integ, Kex, Prf } from "../../wire/iana.ts";

/*
 * strongSwan's proposal keywords, so that an administrator can paste one: `aes256gcm16-prfsha384-x25519-ke1_mlkem768`. Keywords
 * of one kind are alternatives in order of preference; `ke1_` to `ke7_` are the additional key exchanges of RFC 9370, and
 * `ke1_none` says that the first one may be left out. RFC 8221 and RFC 8247 say which algorithms are fit for use; the others are known by
 * name only to be refused with a reason.
 */

export type ProposalProtocol = "ike" | "esp" | "ah";

export interface Cipher {
  readonly id: Encr;
  /** Null for ciphers of one size, whose transform carries no key length (RFC 7296 §3.3.5). */
  readonly keyLengthBits: number | null;
}

/** The methods allowed for one of the seven additional key exchanges, NONE when it may be left out (RFC 9370 §2.2.1). */
export interface AdditionalKexSpec {
  /** 1 for transform type ADDKE1, up to 7. */
  readonly number: number;
  readonly methods: readonly Kex[];
}

/** What one keyword text allows. `integ` is empty with AEAD ciphers, `encr` with AH, `prf` with both, `esn` with IKE; `kex` of ESP and AH is PFS. */
export interface ProposalSpec {
  readonly protocol: ProposalProtocol;
  readonly text: string;
  readonly encr: readonly Cipher[];
  readonly integ: readonly Integ[];
  readonly prf: readonly Prf[];
  readonly kex: readonly Kex[];
  /** In the order of their numbers. */
  readonly additional: readonly AdditionalKexSpec[];
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
 * Reads one proposal, e.g. `aes256gcm16-prfsha384-x25519`, `aes256-sha256-modp2048` or for AH `sha256-x25519`. Throws RangeError with a
 * sentence for an unknown, refused or missing keyword.
 */
export function parseProposal(text: string, protocol: ProposalProtocol): ProposalSpec {
  const key = `${protocol} ${text}`;
  const known = parsed.get(key);
  if (known !== undefined) return known;
  const spec = readProposal(text, protocol);
  if (parsed.size < MOST_REMEMBERED) parsed.set(key, spec);
  return spec;
}

/** Thousands of links ask for the same few: they share what is made of them. Bounded, because a draft that is tried out may say anything. */
const MOST_REMEMBERED = 256;
const parsed = new Map<string, ProposalSpec>();

function readProposal(text: string, protocol: ProposalProtocol): ProposalSpec {
  const encr: Cipher[] = [];
  const integ: Integ[] = [];
  const prf: Prf[] = [];
  const kex: Kex[] = [];
  const additional: { readonly number: number; readonly method: Kex }[] = [];
  const esn: Esn[] = [];
  for (const word of text.trim().toLowerCase().split("-")) {
    if (word === "") throw new RangeError(`"${text}" has an empty keyword.`);
    const cipher = cipherOf(word);
    const extra = additionalKexOf(word);
    if (cipher !== null) encr.push(cipher);
    else if (Object.hasOwn(INTEGRITY, word)) integ.push(INTEGRITY[word]!);
    else if (Object.hasOwn(PRFS, word)) prf.push(PRFS[word]!);
    else if (Object.hasOwn(KEX, word)) kex.push(KEX[word]!);
    else if (extra !== null) additional.push(extra);
    else if (word === "esn" || word === "noesn") esn.push(word === "esn" ? Esn.ESN : Esn.NONE);
    else throw new RangeError(refusal(word, text));
  }
  return complete(text, protocol, { encr, integ, prf, kex, additional: byNumber(additional), esn });
}

/** The keywords of one combination of algorithms, e.g. of the suite that was chosen. */
export function formatAlgorithms(parts: {
  readonly encr: number;
  readonly keyLengthBits: number | null;
  readonly integ: number;
  readonly prf?: number | undefined;
  readonly kex?: number | undefined;
  readonly additional?: readonly { readonly number: number; readonly method: number }[];
  readonly esn?: number | undefined;
}): string {
  // AH encrypts nothing; ESP with NULL is not negotiated.
  const words = parts.encr === Encr.NULL ? [] : [formatCipher(parts.encr, parts.keyLengthBits)];
  if (parts.integ !== Integ.NONE) words.push(keywordOf(INTEGRITY, parts.integ));
  if (parts.prf !== undefined) words.push(keywordOf(PRFS, parts.prf));
  if (parts.kex !== undefined && parts.kex !== Kex.NONE) words.push(formatKex(parts.kex));
  for (const { number, method } of parts.additional ?? []) words.push(formatAdditionalKex(number, method));
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
  return id === Kex.NONE ? "none" : keywordOf({ ...KEX, ...KEMS }, id, "group");
}

/** `ke1_mlkem768`. */
export function formatAdditionalKex(number: number, id: number): string {
  return `ke${number}_${formatKex(id)}`;
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

/**
 * Key encapsulation (draft-ietf-ipsecme-ikev2-mlkem): only as an additional key exchange, beside a Diffie-Hellman one. Its values
 * would make IKE_SA_INIT, which cannot be fragmented, longer than a path takes.
 */
const KEMS: Readonly<Record<string, Kex>> = {
  mlkem512: Kex.ML_KEM_512,
  mlkem768: Kex.ML_KEM_768,
  mlkem1024: Kex.ML_KEM_1024,
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
  [/^mlkem/, "is for an additional key exchange: write ke1_mlkem768"],
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

/** `ke1_mlkem768` to number and method; null for another word, or a method that is not known. */
function additionalKexOf(word: string): { readonly number: number; readonly method: Kex } | null {
  const match = /^ke([1-7])_(.+)$/.exec(word);
  if (match === null) return null;
  const [, number, name] = match;
  if (name === "none") return { number: Number(number), method: Kex.NONE };
  for (const table of [KEX, KEMS]) if (Object.hasOwn(table, name!)) return { number: Number(number), method: table[name!]! };
  return null;
}

function byNumber(words: readonly { readonly number: number; readonly method: Kex }[]): AdditionalKexSpec[] {
  const numbers = [1, 2, 3, 4, 5, 6, 7].filter((number) => words.some((word) => word.number === number));
  return numbers.map((number) => ({ number, methods: words.filter((word) => word.number === number).map((word) => word.method) }));
}

type Parts = Pick<ProposalSpec, "encr" | "integ" | "prf" | "kex" | "additional" | "esn">;

function complete(text: string, protocol: ProposalProtocol, parts: Parts): ProposalSpec {
  const { encr, integ, kex } = parts;
  if (protocol === "ah") return completeAh(text, parts);
  if (encr.length === 0) throw new RangeError(`"${text}" names no cipher.`);
  const aead = encr.filter((cipher) => isAead(cipher.id)).length;
  // RFC 7296 §3.3: combined-mode ciphers and others cannot share a proposal.
  if (aead !== 0 && aead !== encr.length) throw new RangeError(`"${text}" mixes ciphers that need an integrity algorithm with ones that do not.`);
  if (aead !== 0 && integ.length > 0 && (protocol === "esp" || parts.prf.length > 0)) {
    throw new RangeError(`"${text}" has an integrity algorithm, which its cipher does not need.`);
  }
  if (aead === 0 && integ.length === 0) throw new RangeError(`"${text}" needs an integrity algorithm such as sha256.`);
  if (parts.additional.length > 0) checkAdditional(text, parts);
  if (protocol === "esp") {
    if (parts.prf.length > 0) throw new RangeError(`"${text}" names a PRF, which ESP does not have.`);
    return { protocol, text, ...parts, esn: parts.esn.length === 0 ? [Esn.NONE] : parts.esn };
  }
  if (parts.esn.length > 0) throw new RangeError(`"${text}" has an ESN keyword, which belongs to ESP.`);
  if (kex.length === 0) throw new RangeError(`"${text}" needs a key exchange such as x25519.`);
  // strongSwan's shorthand: with an AEAD cipher `sha256` names the PRF.
  const prf = parts.prf.length > 0 ? parts.prf : integ.map((id) => PRF_OF_INTEG[id]!);
  if (prf.length === 0) throw new RangeError(`"${text}" needs a PRF such as prfsha256.`);
  return { protocol, text, encr, integ: aead === 0 ? integ : [], prf, kex, additional: parts.additional, esn: [] };
}

/** RFC 7296 §3.3.3: integrity and sequence numbers, and a key exchange for PFS. */
function completeAh(text: string, parts: Parts): ProposalSpec {
  if (parts.encr.length > 0) throw new RangeError(`"${text}" names a cipher, but AH does not encrypt: write sha256, or use ESP.`);
  if (parts.prf.length > 0) throw new RangeError(`"${text}" names a PRF, which AH does not have.`);
  if (parts.integ.length === 0) throw new RangeError(`"${text}" needs an integrity algorithm such as sha256.`);
  if (parts.additional.length > 0) checkAdditional(text, parts);
  return { protocol: "ah", text, ...parts, esn: parts.esn.length === 0 ? [Esn.NONE] : parts.esn };
}

/** RFC 9370 §2.2.1: they follow a first key exchange, and no method is used twice for one SA. */
function checkAdditional(text: string, { kex, additional }: Parts): void {
  if (kex.length === 0) throw new RangeError(`"${text}" has an additional key exchange and no first one such as x25519.`);
  if (!kex.some((first) => hasDistinctMethods(additional, [first]))) throw new RangeError(`"${text}" has no way to use each key exchange only once.`);
}

function hasDistinctMethods([next, ...rest]: readonly AdditionalKexSpec[], used: readonly Kex[]): boolean {
  if (next === undefined) return true;
  return next.methods.some((method) => (method === Kex.NONE || !used.includes(method)) && hasDistinctMethods(rest, [...used, method]));
}

function keywordOf(table: Readonly<Record<string, number>>, id: number, kind = "unknown"): string {
  for (const [word, value] of Object.entries(table)) if (value === id) return word;
  return `${kind}_${id}`;
}
