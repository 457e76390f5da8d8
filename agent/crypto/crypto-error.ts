export type CryptoErrorCode =
  | "badKey"
  | "badLength"
  | "badPeerValue"
  | "integrity"
  | "unsupported"
  | "badSignature"
  | "badCertificate"
  | "badName"
  | "badRevocation"
  | "badContainer"
  | "wrongPassword"
  | "weakContainer";

/** What went wrong in one sentence without key material. Codecs and the engine turn it into the protocol's own error. */
export class CryptoError extends Error {
  readonly code: CryptoErrorCode;

  constructor(code: CryptoErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CryptoError";
    this.code = code;
  }
}
