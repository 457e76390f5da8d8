import { AuthMethod, CertEncoding, ExchangeType, IdType, NotifyType, nameOf, ProtocolId } from "../wire/iana.ts";
import type { Header, Payload, Proposal, WireTrafficSelector } from "../wire/ikev2/message-types.ts";
import { HEADER_LENGTH, parseHeader, writeHeader } from "../wire/ikev2/header.ts";
import { type PlainOctets, readablePayloads } from "../wire/ikev2/message.ts";
import { type PackedOctets, packOctets, unpackOctets } from "../wire/octets.ts";
import { formatSelector, fromWire } from "../ipsec/traffic-selector.ts";
import type { Instant, TraceRecord, TraceSource } from "./endpoint-types.ts";
import { traceOctets } from "./diagnosis/traced-octets.ts";
import { describeOffer } from "./negotiation/choose-proposal.ts";
import { formatKex } from "./negotiation/proposal-keywords.ts";
import { identityText } from "./negotiation/identity.ts";
import type { Turn } from "./turn.ts";

/*
 * The trace: every message decoded and every choice with its reason, as data. Keys, AUTH data and secrets never enter; nonces and
 * key exchange values appear by length or by their first octets only. The octets go with it as far as they are no secret, so that
 * the message can be decoded again elsewhere (diagnosis/replay.ts).
 */

/** A message that was sent, or received and authenticated as far as its exchange allows. The octets of `plain` never leave uncut. */
export function traceMessage(turn: Turn, linkId: string | null, direction: "sent" | "received", header: Header, plain: PlainOctets): void {
  turn.effects.push({ kind: "trace", entry: new TracedMessage(turn.now, linkId, direction, header, plain) });
}

/** There are tens of thousands of them, of which hardly any is ever read: hence one string each for header and contents. */
class TracedMessage implements TraceSource {
  readonly linkId: string | null;
  readonly #at: Instant;
  readonly #direction: "sent" | "received";
  /** An IKE message whose contents are in the clear. */
  readonly #packed: PackedOctets;

  constructor(at: Instant, linkId: string | null, direction: "sent" | "received", header: Header, { firstPayload, bytes }: PlainOctets) {
    this.linkId = linkId;
    this.#at = at;
    this.#direction = direction;
    const message = new Uint8Array(HEADER_LENGTH + bytes.length);
    writeHeader(message, header, firstPayload, message.length);
    message.set(bytes, HEADER_LENGTH);
    this.#packed = packOctets(message);
  }

  get octets(): number {
    return this.#packed.length - HEADER_LENGTH;
  }

  read(): TraceRecord {
    const message = unpackOctets(this.#packed);
    const { header, firstPayload } = parseHeader(message);
    const bytes = message.subarray(HEADER_LENGTH);
    const payloads = readablePayloads({ firstPayload, bytes });
    const exchange = nameOf(ExchangeType, header.exchangeType);
    const names = payloads === null ? "unreadable" : payloads.map(payloadName).join(" ") || "empty";
    const wire = bytes.length === 0 ? null : traceOctets(firstPayload, bytes);
    return {
      at: this.#at,
      linkId: this.linkId,
      direction: this.#direction,
      exchange,
      messageId: header.messageId,
      summary: `${exchange} ${header.isResponse ? "response" : "request"} ${header.messageId}: ${names}`,
      detail: {
        spiI: hex64(header.spiI),
        spiR: hex64(header.spiR),
        response: header.isResponse,
        payloads: (payloads ?? []).map(describePayload),
      },
      ...(wire === null ? {} : { wire }),
    };
  }
}

/** A choice made here, with its reason in the sentence. */
export function traceChoice(turn: Turn, linkId: string | null, exchange: string, summary: string, detail: Readonly<Record<string, unknown>> = {}): void {
  turn.effects.push({ kind: "trace", entry: new TracedChoice(turn.now, linkId, { exchange, summary, detail }) });
}

/** As with messages: one string, in place of a sentence in the pieces that it was put together from. */
class TracedChoice implements TraceSource {
  readonly linkId: string | null;
  readonly octets = 0;
  readonly #at: Instant;
  readonly #packed: string;

  constructor(at: Instant, linkId: string | null, choice: Pick<TraceRecord, "exchange" | "summary" | "detail">) {
    this.linkId = linkId;
    this.#at = at;
    this.#packed = JSON.stringify(choice);
  }

  read(): TraceRecord {
    const { exchange, summary, detail } = JSON.parse(this.#packed) as Pick<TraceRecord, "exchange" | "summary" | "detail">;
    return { at: this.#at, linkId: this.linkId, direction: "local", exchange, messageId: null, summary, detail };
  }
}

export function hex64(spi: bigint): string {
  return spi.toString(16).padStart(16, "0");
}

export function hex32(spi: number): string {
  return spi.toString(16).padStart(8, "0");
}

/** `10.0.0.0/24, 10.1.0.0/24`; selectors of unknown type are named as such. */
export function describeSelectors(selectors: readonly WireTrafficSelector[]): string {
  return selectors
    .map((wire) => {
      const selector = fromWire(wire);
      return selector === null ? `unknown selector type ${wire.type}` : formatSelector(selector);
    })
    .join(", ");
}

function payloadName(payload: Payload): string {
  if (payload.kind === "notify") return `N(${nameOf(NotifyType, payload.type)})`;
  return PAYLOAD_NAMES[payload.kind];
}

const PAYLOAD_NAMES: Readonly<Record<Exclude<Payload["kind"], "notify">, string>> = {
  sa: "SA",
  ke: "KE",
  nonce: "No",
  idi: "IDi",
  idr: "IDr",
  cert: "CERT",
  certreq: "CERTREQ",
  auth: "AUTH",
  delete: "D",
  vendor: "V",
  tsi: "TSi",
  tsr: "TSr",
  eap: "EAP",
  cp: "CP",
  sk: "SK",
  skf: "SKF",
  unknown: "?",
};

function describePayload(payload: Payload): Record<string, unknown> {
  const name = payloadName(payload);
  switch (payload.kind) {
    case "sa":
      return { name, proposals: payload.proposals.map(describeProposal) };
    case "ke":
      return { name, method: formatKex(payload.method), octets: payload.data.length };
    case "nonce":
      return { name, octets: payload.data.length, begins: hex(payload.data.subarray(0, 4)) };
    case "idi":
    case "idr":
      return { name, type: nameOf(IdType, payload.idType), identity: identityText(payload.idType, payload.data) };
    case "cert":
      return { name, encoding: nameOf(CertEncoding, payload.encoding), octets: payload.data.length };
    case "certreq":
      return { name, encoding: nameOf(CertEncoding, payload.encoding), authorities: Math.floor(payload.authorities.length / 20) };
    case "auth":
      return { name, method: nameOf(AuthMethod, payload.method), octets: payload.data.length };
    case "notify":
      return describeNotify(name, payload);
    case "delete":
      return { name, protocol: nameOf(ProtocolId, payload.protocolId), spis: payload.spis.map(hex) };
    case "tsi":
    case "tsr":
      return { name, selectors: describeSelectors(payload.selectors) };
    case "vendor":
    case "eap":
    case "cp":
      return { name, octets: payload.data.length };
    case "sk":
      return { name, octets: payload.body.length };
    case "skf":
      return { name, fragment: payload.fragmentNumber, of: payload.totalFragments, octets: payload.body.length };
    case "unknown":
      return { name, type: payload.payloadType, critical: payload.critical, octets: payload.data.length };
    default:
      return assertNever(payload);
  }
}

function describeNotify(name: string, payload: Extract<Payload, { kind: "notify" }>): Record<string, unknown> {
  const spi = payload.spi.length === 0 ? {} : { spi: hex(payload.spi) };
  if (payload.type === NotifyType.INVALID_KE_PAYLOAD && payload.data.length === 2) {
    return { name, ...spi, wanted: formatKex((payload.data[0]! << 8) | payload.data[1]!) };
  }
  return { name, ...spi, octets: payload.data.length };
}

function describeProposal(proposal: Proposal): Record<string, unknown> {
  return {
    number: proposal.number,
    protocol: nameOf(ProtocolId, proposal.protocolId),
    spi: hex(proposal.spi),
    algorithms: describeOffer([proposal]),
  };
}

function hex(bytes: Uint8Array): string {
  let text = "";
  for (const octet of bytes) text += octet.toString(16).padStart(2, "0");
  return text;
}

function assertNever(value: never): never {
  throw new TypeError(`Unreachable: ${String(value)}`);
}
