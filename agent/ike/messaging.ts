import type { UdpEndpoint } from "../ipsec/security-association.ts";
import { NotifyType } from "../wire/iana.ts";
import { serializeMessage, serializePayloads } from "../wire/ikev2/message.ts";
import type { Header, Payload, PayloadOf } from "../wire/ikev2/message-types.ts";
import { packOctets, unpackOctets, writeU16 } from "../wire/octets.ts";
import { type IkeSa, ownSpi, sessionOf, tracedLinkId } from "./ike-sa.ts";
import { sealMessage } from "./session.ts";
import type { ActiveTask } from "./task.ts";
import { traceMessage } from "./trace.ts";
import { touchIkeSa, type Turn } from "./turn.ts";

/** Sends a protected request and holds it for retransmission. The window has to be free. */
export function sendRequest(turn: Turn, sa: IkeSa, exchangeType: number, payloads: readonly Payload[], task: ActiveTask): void {
  const header = headerOf(sa, exchangeType, sa.window.nextSend, false);
  const plain = serializePayloads(payloads);
  const datagrams = sealMessage(requireSession(sa), sa.role, header, plain, turn.engine.options.largestMessage);
  traceMessage(turn, sa.linkId, "sent", header, plain);
  holdOutstanding(turn, sa, exchangeType, datagrams, task);
}

/** Sends what has been serialised and makes it the outstanding request. `sendFirst`: in another form than that in which it is sent again. */
export function holdOutstanding(
  turn: Turn,
  sa: IkeSa,
  exchangeType: number,
  datagrams: readonly Uint8Array[],
  task: ActiveTask,
  sendFirst: () => void = () => transmit(turn, sa, datagrams),
): void {
  const { window } = sa;
  if (window.outstanding !== null) throw new TypeError("A second request would leave the window of one.");
  window.outstanding = {
    messageId: window.nextSend,
    exchangeType,
    task,
    datagrams,
    firstSentAt: turn.now,
    sends: 1,
    nextAt: turn.now + turn.engine.options.retransmitFirstMs,
    hint: null,
  };
  window.nextSend += 1;
  sendFirst();
}

/** Answers the request `messageId` and keeps the answer for its retransmissions. */
export function sendResponse(turn: Turn, sa: IkeSa, exchangeType: number, messageId: number, payloads: readonly Payload[]): void {
  const header = headerOf(sa, exchangeType, messageId, true);
  const plain = serializePayloads(payloads);
  const datagrams = sealMessage(requireSession(sa), sa.role, header, plain, turn.engine.options.largestMessage);
  traceMessage(turn, tracedLinkId(sa), "sent", header, plain);
  keepResponse(sa, messageId, datagrams);
  transmit(turn, sa, datagrams);
}

/** For the case that the request comes again. */
export function keepResponse({ window }: Pick<IkeSa, "window">, messageId: number, datagrams: readonly Uint8Array[]): void {
  window.lastResponse = { messageId, datagrams: datagrams.map(packOctets) };
}

/** The answer to a request that has come again: the same octets (RFC 7296 §2.1). */
export function repeatResponse(turn: Turn, sa: IkeSa): void {
  if (sa.window.lastResponse !== null) transmit(turn, sa, sa.window.lastResponse.datagrams.map(unpackOctets));
}

export function transmit(turn: Turn, sa: IkeSa, datagrams: readonly Uint8Array[]): void {
  sa.lastSentAt = turn.now;
  for (const bytes of datagrams) transmitTo(turn, sa.local, sa.remote, bytes);
}

export function transmitTo(turn: Turn, local: UdpEndpoint | null, remote: UdpEndpoint, bytes: Uint8Array, dontFragment = false): void {
  const encapsulated = local === null ? remote.port !== 500 && remote.port !== turn.engine.options.ikePort : local.port === turn.engine.options.natPort;
  turn.effects.push({ kind: "transmit", local, remote, bytes, encapsulated, ...(dontFragment ? { dontFragment: true } : {}) });
}

/**
 * A one-off answer in the clear, for which nothing is remembered: COOKIE, INVALID_KE_PAYLOAD, NO_PROPOSAL_CHOSEN, INVALID_MAJOR_VERSION.
 * `isTraced`: false for one of thousands a second.
 */
export function answerInClear(
  turn: Turn,
  request: Header,
  local: UdpEndpoint,
  remote: UdpEndpoint,
  linkId: string | null,
  payloads: readonly Payload[],
  isTraced = true,
): void {
  const header: Header = {
    ...request,
    majorVersion: 2,
    minorVersion: 0,
    higherVersion: false,
    fromInitiator: !request.fromInitiator,
    isResponse: true,
  };
  if (isTraced) traceMessage(turn, linkId, "sent", header, serializePayloads(payloads));
  transmitTo(turn, local, remote, serializeMessage(header, payloads));
}

export function headerOf(sa: Pick<IkeSa, "spiI" | "spiR" | "role">, exchangeType: number, messageId: number, isResponse: boolean): Header {
  return {
    spiI: sa.spiI,
    spiR: sa.spiR,
    majorVersion: 2,
    minorVersion: 0,
    exchangeType,
    fromInitiator: sa.role === "initiator",
    isResponse,
    higherVersion: false,
    messageId,
  };
}

/** A notify of the IKE SA itself, or about `about`. */
export function notify(type: NotifyType, data: Uint8Array = NO_OCTETS, about?: { readonly protocolId: number; readonly spi: Uint8Array }): Payload {
  return { kind: "notify", protocolId: about?.protocolId ?? 0, spi: about?.spi ?? NO_OCTETS, type, data };
}

/** Two octets that name the wanted group (RFC 7296 §1.2). */
export function invalidKe(method: number): Payload {
  const data = new Uint8Array(2);
  writeU16(data, 0, method);
  return notify(NotifyType.INVALID_KE_PAYLOAD, data);
}

export function findPayload<K extends Payload["kind"]>(payloads: readonly Payload[], kind: K): (Payload & { kind: K }) | null {
  const found = payloads.find((payload): payload is Payload & { kind: K } => payload.kind === kind);
  return found ?? null;
}

export function findNotify(payloads: readonly Payload[], type: number): PayloadOf<"notify"> | null {
  for (const payload of payloads) if (payload.kind === "notify" && payload.type === type) return payload;
  return null;
}

/** The first error notify of a response: types below 16384 (RFC 7296 §3.10.1). */
export function findError(payloads: readonly Payload[]): PayloadOf<"notify"> | null {
  for (const payload of payloads) if (payload.kind === "notify" && payload.type < 16384) return payload;
  return null;
}

export function registerIkeSa(turn: Turn, sa: IkeSa): void {
  turn.engine.ikeSas.add(sa);
  touchIkeSa(turn, sa);
}

export function unregisterIkeSa(turn: Turn, sa: IkeSa): void {
  touchIkeSa(turn, sa);
  turn.engine.ikeSas.delete(ownSpi(sa));
  turn.engine.held.delete(sa);
}

function requireSession(sa: IkeSa): NonNullable<ReturnType<typeof sessionOf>> {
  const session = sessionOf(sa);
  if (session === null) throw new TypeError("An IKE SA without keys cannot protect a message.");
  return session;
}

const NO_OCTETS = new Uint8Array(0);
