/**
 * Parsed IKEv2 messages as plain values (RFC 7296 §3). Byte arrays handed out by a parser are views of the datagram: whoever
 * keeps one beyond the current call copies it. Numbers not in our tables survive parsing, so that what a peer offered can be
 * shown and refused by name; hence `number` and not the narrow unions of iana.ts.
 */

/** An IKE SPI is 64 bits: a bigint, because a number cannot hold it. */
export type IkeSpi = bigint & { readonly __brand: "IkeSpi" };
/** An ESP or AH SPI is an unsigned 32-bit number. */
export type EspSpi = number & { readonly __brand: "EspSpi" };

export interface Header {
  readonly spiI: IkeSpi;
  readonly spiR: IkeSpi;
  readonly majorVersion: number;
  readonly minorVersion: number;
  readonly exchangeType: number;
  /** RFC 7296 §3.1: set by the original initiator of the IKE SA. */
  readonly fromInitiator: boolean;
  readonly isResponse: boolean;
  /** Set when the sender could speak a higher version. */
  readonly higherVersion: boolean;
  readonly messageId: number;
}

/** `value` of a short attribute (AF bit set) has 2 octets. */
export interface TransformAttribute {
  readonly type: number;
  readonly isShort: boolean;
  readonly value: Uint8Array;
}

export interface Transform {
  readonly type: number;
  readonly id: number;
  /** Key length attribute in bits, for ciphers of several sizes. */
  readonly keyLengthBits?: number;
  /** Attributes that we do not understand: a transform with any must not be chosen (RFC 7296 §3.3.6). */
  readonly unknownAttributes?: readonly TransformAttribute[];
}

export interface Proposal {
  /** 1, 2, 3 … in an offer; in an answer the number of the one chosen. */
  readonly number: number;
  readonly protocolId: number;
  /** 0, 4 or 8 octets. */
  readonly spi: Uint8Array;
  readonly transforms: readonly Transform[];
}

/**
 * Addresses are 4 or 16 octets; ranges are inclusive. Of a type that we do not know, `startAddress` holds everything behind the
 * length field, `endAddress` is empty and the ports are 0.
 */
export interface WireTrafficSelector {
  readonly type: number;
  /** 0: any. */
  readonly ipProtocol: number;
  readonly startPort: number;
  readonly endPort: number;
  readonly startAddress: Uint8Array;
  readonly endAddress: Uint8Array;
}

export type Payload =
  | { readonly kind: "sa"; readonly proposals: readonly Proposal[] }
  | { readonly kind: "ke"; readonly method: number; readonly data: Uint8Array }
  | { readonly kind: "idi" | "idr"; readonly idType: number; readonly data: Uint8Array }
  | { readonly kind: "cert"; readonly encoding: number; readonly data: Uint8Array }
  | { readonly kind: "certreq"; readonly encoding: number; readonly authorities: Uint8Array }
  | { readonly kind: "auth"; readonly method: number; readonly data: Uint8Array }
  | { readonly kind: "nonce"; readonly data: Uint8Array }
  | { readonly kind: "notify"; readonly protocolId: number; readonly spi: Uint8Array; readonly type: number; readonly data: Uint8Array }
  | { readonly kind: "delete"; readonly protocolId: number; readonly spis: readonly Uint8Array[] }
  | { readonly kind: "vendor"; readonly data: Uint8Array }
  | { readonly kind: "tsi" | "tsr"; readonly selectors: readonly WireTrafficSelector[] }
  | { readonly kind: "eap" | "cp"; readonly data: Uint8Array }
  /** Still encrypted. `firstPayload` is the type of the first payload inside; `body` is IV, ciphertext and ICV. */
  | { readonly kind: "sk"; readonly firstPayload: number; readonly body: Uint8Array }
  | {
      readonly kind: "skf";
      readonly firstPayload: number;
      readonly fragmentNumber: number;
      readonly totalFragments: number;
      readonly body: Uint8Array;
    }
  /** A type we do not know; with `critical` the whole message is refused (RFC 7296 §2.5). */
  | { readonly kind: "unknown"; readonly payloadType: number; readonly critical: boolean; readonly data: Uint8Array };

export type PayloadKind = Payload["kind"];
export type PayloadOf<K extends PayloadKind> = Extract<Payload, { kind: K }>;

/** A datagram parsed as far as can be without keys: for a protected message the last payload is `sk` or `skf`. */
export interface Message {
  readonly header: Header;
  readonly payloads: readonly Payload[];
}
