import { ExchangeType, nameOf } from "../iana.ts";
import type { Payload, PayloadKind } from "./message-types.ts";
import { invalidSyntax } from "./protocol-error.ts";

/** How often a kind may come: `one` at most once, `many` any number of times. A kind that is not listed may not come at all. */
type Allowed = Readonly<Partial<Record<PayloadKind, "one" | "many">>>;

const PROTECTED_ONLY: Allowed = { sk: "one", skf: "one" };

/**
 * Which payloads an exchange may carry, outside and inside its SK payload (RFC 7296 §1.2–1.4 and appendix C, RFC 9242 §3.2, RFC 9370 §2.2.4).
 * INFORMATIONAL in the clear is the one-way notification without an SA (RFC 7296 §1.5). An IKE_AUTH or CREATE_CHILD_SA
 * response in the clear with a notify is parsed so that it can be shown; nothing may be concluded from it (§2.21.2).
 */
const EXCHANGES: Readonly<Record<ExchangeType, { readonly clear: Allowed; readonly protected: Allowed }>> = {
  [ExchangeType.IKE_SA_INIT]: {
    clear: { sa: "one", ke: "one", nonce: "one", notify: "many", certreq: "many", vendor: "many", unknown: "many" },
    protected: {},
  },
  [ExchangeType.IKE_INTERMEDIATE]: {
    clear: PROTECTED_ONLY,
    protected: { ke: "one", notify: "many", vendor: "many", unknown: "many" },
  },
  [ExchangeType.IKE_AUTH]: {
    clear: { ...PROTECTED_ONLY, notify: "many" },
    protected: {
      idi: "one",
      idr: "one",
      cert: "many",
      certreq: "many",
      auth: "one",
      sa: "one",
      tsi: "one",
      tsr: "one",
      notify: "many",
      cp: "one",
      eap: "one",
      vendor: "many",
      unknown: "many",
    },
  },
  [ExchangeType.CREATE_CHILD_SA]: {
    clear: { ...PROTECTED_ONLY, notify: "many" },
    protected: {
      sa: "one",
      nonce: "one",
      ke: "one",
      tsi: "one",
      tsr: "one",
      notify: "many",
      cp: "one",
      vendor: "many",
      unknown: "many",
    },
  },
  [ExchangeType.IKE_FOLLOWUP_KE]: {
    clear: PROTECTED_ONLY,
    protected: { ke: "one", notify: "many", vendor: "many", unknown: "many" },
  },
  [ExchangeType.INFORMATIONAL]: {
    clear: { ...PROTECTED_ONLY, notify: "many" },
    protected: { notify: "many", delete: "many", cp: "one", vendor: "many", unknown: "many" },
  },
};

/**
 * Throws IkeProtocolError INVALID_SYNTAX if a payload may not come here or not so often. `where`: `clear` for the payloads of the
 * datagram, `protected` for the decrypted ones. Of an exchange that is unknown only the protected ones are refused: who it comes from is
 * known then, so that it can be answered (RFC 7296 §2.21.3).
 */
export function requireAllowedPayloads(exchangeType: number, where: "clear" | "protected", payloads: readonly Payload[]): void {
  const isKnown = isKnownExchange(exchangeType);
  if (!isKnown && where === "protected") throw invalidSyntax(`Exchange type ${exchangeType} is unknown here.`);
  const allowed = isKnown ? EXCHANGES[exchangeType][where] : PROTECTED_ONLY;
  const seen = new Set<PayloadKind>();
  for (const { kind } of payloads) {
    const often = allowed[kind];
    if (often === undefined) throw invalidSyntax(`${nameOf(ExchangeType, exchangeType)} may not carry a payload "${kind}" (${where}).`);
    if (often === "one" && seen.has(kind)) throw invalidSyntax(`${nameOf(ExchangeType, exchangeType)} carries more than one payload "${kind}".`);
    seen.add(kind);
  }
}

function isKnownExchange(exchangeType: number): exchangeType is ExchangeType {
  return Object.hasOwn(EXCHANGES, exchangeType);
}
