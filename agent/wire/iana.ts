/**
 * Numbers of the IKEv2 registry (RFC 7296 §3, RFC 8247, RFC 9370) and of ESP that this project uses. Each table maps the
 * registry's name to its number; the type of the same name is the union of the numbers.
 */

type ValueOf<T> = T[keyof T];

export const ExchangeType = {
  IKE_SA_INIT: 34,
  IKE_AUTH: 35,
  CREATE_CHILD_SA: 36,
  INFORMATIONAL: 37,
  IKE_INTERMEDIATE: 43,
  IKE_FOLLOWUP_KE: 44,
} as const;
export type ExchangeType = ValueOf<typeof ExchangeType>;

export const PayloadType = {
  NONE: 0,
  SA: 33,
  KE: 34,
  IDi: 35,
  IDr: 36,
  CERT: 37,
  CERTREQ: 38,
  AUTH: 39,
  NONCE: 40,
  NOTIFY: 41,
  DELETE: 42,
  VENDOR: 43,
  TSi: 44,
  TSr: 45,
  SK: 46,
  CP: 47,
  EAP: 48,
  SKF: 53,
} as const;
export type PayloadType = ValueOf<typeof PayloadType>;

export const ProtocolId = { NONE: 0, IKE: 1, AH: 2, ESP: 3 } as const;
export type ProtocolId = ValueOf<typeof ProtocolId>;

/** ADDKE1 to ADDKE7 are the additional key exchanges (RFC 9370 §2.2.1). */
export const TransformType = {
  ENCR: 1,
  PRF: 2,
  INTEG: 3,
  KE: 4,
  ESN: 5,
  ADDKE1: 6,
  ADDKE2: 7,
  ADDKE3: 8,
  ADDKE4: 9,
  ADDKE5: 10,
  ADDKE6: 11,
  ADDKE7: 12,
} as const;
export type TransformType = ValueOf<typeof TransformType>;

export const Encr = {
  DES3: 3,
  NULL: 11,
  AES_CBC: 12,
  AES_CTR: 13,
  AES_CCM_8: 14,
  AES_CCM_12: 15,
  AES_CCM_16: 16,
  AES_GCM_8: 18,
  AES_GCM_12: 19,
  AES_GCM_16: 20,
  NULL_AES_GMAC: 21,
  CHACHA20_POLY1305: 28,
} as const;
export type Encr = ValueOf<typeof Encr>;

export const Prf = { HMAC_SHA1: 2, HMAC_SHA2_256: 5, HMAC_SHA2_384: 6, HMAC_SHA2_512: 7 } as const;
export type Prf = ValueOf<typeof Prf>;

export const Integ = {
  NONE: 0,
  HMAC_MD5_96: 1,
  HMAC_SHA1_96: 2,
  AES_XCBC_96: 5,
  AES_CMAC_96: 8,
  AES_128_GMAC: 9,
  AES_192_GMAC: 10,
  AES_256_GMAC: 11,
  HMAC_SHA2_256_128: 12,
  HMAC_SHA2_384_192: 13,
  HMAC_SHA2_512_256: 14,
} as const;
export type Integ = ValueOf<typeof Integ>;

/** Key exchange methods (formerly "Diffie-Hellman groups"). */
export const Kex = {
  NONE: 0,
  MODP_2048: 14,
  MODP_3072: 15,
  MODP_4096: 16,
  MODP_6144: 17,
  MODP_8192: 18,
  ECP_256: 19,
  ECP_384: 20,
  ECP_521: 21,
  X25519: 31,
  X448: 32,
  ML_KEM_512: 35,
  ML_KEM_768: 36,
  ML_KEM_1024: 37,
} as const;
export type Kex = ValueOf<typeof Kex>;

export const Esn = { NONE: 0, ESN: 1 } as const;
export type Esn = ValueOf<typeof Esn>;

/** Transform attribute: key length in bits (RFC 7296 §3.3.5). */
export const ATTRIBUTE_KEY_LENGTH = 14;

export const AuthMethod = {
  RSA_SIGNATURE: 1,
  SHARED_KEY_MIC: 2,
  ECDSA_P256_SHA256: 9,
  ECDSA_P384_SHA384: 10,
  ECDSA_P521_SHA512: 11,
  NULL: 13,
  /** RFC 7427: the algorithm travels with the signature. */
  DIGITAL_SIGNATURE: 14,
} as const;
export type AuthMethod = ValueOf<typeof AuthMethod>;

/** RFC 7427 §7, and RFC 8420 for Identity (Ed25519 hashes by itself). */
export const SignatureHash = { SHA1: 1, SHA2_256: 2, SHA2_384: 3, SHA2_512: 4, IDENTITY: 5 } as const;
export type SignatureHash = ValueOf<typeof SignatureHash>;

export const IdType = { IPV4_ADDR: 1, FQDN: 2, RFC822_ADDR: 3, IPV6_ADDR: 5, DER_ASN1_DN: 9, DER_ASN1_GN: 10, KEY_ID: 11 } as const;
export type IdType = ValueOf<typeof IdType>;

export const CertEncoding = { X509_SIGNATURE: 4, CRL: 7, HASH_AND_URL: 12, OCSP: 14 } as const;
export type CertEncoding = ValueOf<typeof CertEncoding>;

export const TrafficSelectorType = { IPV4_ADDR_RANGE: 7, IPV6_ADDR_RANGE: 8 } as const;
export type TrafficSelectorType = ValueOf<typeof TrafficSelectorType>;

/** Notify message types; below 16384 they are errors (RFC 7296 §3.10.1). */
export const NotifyType = {
  UNSUPPORTED_CRITICAL_PAYLOAD: 1,
  INVALID_IKE_SPI: 4,
  INVALID_MAJOR_VERSION: 5,
  INVALID_SYNTAX: 7,
  INVALID_MESSAGE_ID: 9,
  INVALID_SPI: 11,
  NO_PROPOSAL_CHOSEN: 14,
  INVALID_KE_PAYLOAD: 17,
  AUTHENTICATION_FAILED: 24,
  SINGLE_PAIR_REQUIRED: 34,
  NO_ADDITIONAL_SAS: 35,
  INTERNAL_ADDRESS_FAILURE: 36,
  FAILED_CP_REQUIRED: 37,
  TS_UNACCEPTABLE: 38,
  INVALID_SELECTORS: 39,
  TEMPORARY_FAILURE: 43,
  CHILD_SA_NOT_FOUND: 44,
  STATE_NOT_FOUND: 47,
  TS_MAX_QUEUE: 48,
  INITIAL_CONTACT: 16384,
  SET_WINDOW_SIZE: 16385,
  ADDITIONAL_TS_POSSIBLE: 16386,
  IPCOMP_SUPPORTED: 16387,
  NAT_DETECTION_SOURCE_IP: 16388,
  NAT_DETECTION_DESTINATION_IP: 16389,
  COOKIE: 16390,
  USE_TRANSPORT_MODE: 16391,
  HTTP_CERT_LOOKUP_SUPPORTED: 16392,
  REKEY_SA: 16393,
  ESP_TFC_PADDING_NOT_SUPPORTED: 16394,
  NON_FIRST_FRAGMENTS_ALSO: 16395,
  MOBIKE_SUPPORTED: 16396,
  AUTH_LIFETIME: 16403,
  EAP_ONLY_AUTHENTICATION: 16417,
  CHILDLESS_IKEV2_SUPPORTED: 16418,
  IKEV2_FRAGMENTATION_SUPPORTED: 16430,
  SIGNATURE_HASH_ALGORITHMS: 16431,
  INTERMEDIATE_EXCHANGE_SUPPORTED: 16438,
  ADDITIONAL_KEY_EXCHANGE: 16441,
  SA_RESOURCE_INFO: 16444,
  /** Ours, of the private range: padding that a peer passes over (agent/ike/v2/path-probe.ts). */
  PATH_PROBE: 41_017,
} as const;
export type NotifyType = ValueOf<typeof NotifyType>;

/** The registry's name of a number, or `UNKNOWN_<number>`: for traces and errors. */
export function nameOf(table: Readonly<Record<string, number>>, value: number): string {
  let names = namesByTable.get(table);
  if (names === undefined) {
    // Where two names have one number the first one counts.
    names = new Map(
      Object.entries(table)
        .toReversed()
        .map(([name, number]) => [number, name]),
    );
    namesByTable.set(table, names);
  }
  return names.get(value) ?? `UNKNOWN_${value}`;
}

/** Every message is traced, and every trace names a dozen numbers. */
const namesByTable = new WeakMap<Readonly<Record<string, number>>, Map<number, string>>();
