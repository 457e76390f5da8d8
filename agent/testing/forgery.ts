import { establishedPhase, type IkeSa } from "../ike/ike-sa.ts";
import { headerOf, keepResponse } from "../ike/messaging.ts";
import { sealMessage } from "../ike/session.ts";
import { parseHeader } from "../wire/ikev2/header.ts";
import { serializePayloads } from "../wire/ikev2/message.ts";
import type { Header, Payload } from "../wire/ikev2/message-types.ts";
import type { Courier } from "./courier.ts";
import type { Packet } from "./lossy-link.ts";
import type { Side } from "./pair.ts";

/** The IKE SA that a side uses: the newest established one. */
export function ikeSaOf(side: Side): IkeSa {
  const sa = [...side.engine.ikeSas.values()].filter((one) => establishedPhase(one) !== null).at(-1);
  if (sa === undefined) throw new Error(`${side.name} has no established IKE SA`);
  return sa;
}

export interface Forged {
  readonly exchangeType: number;
  readonly messageId: number;
  readonly payloads: readonly Payload[];
  readonly isResponse?: boolean;
  /** Overwrites of the header, for what no peer should send. */
  readonly header?: Partial<Header>;
}

/** A message under the keys of `from`'s IKE SA that its engine never made, ready to be handed over. */
export function forge(from: Side, to: Side, message: Forged, sa = ikeSaOf(from)): Packet {
  const phase = establishedPhase(sa);
  if (phase === null) throw new Error("Only under an established IKE SA can be forged");
  const header = { ...headerOf(sa, message.exchangeType, message.messageId, message.isResponse ?? false), ...message.header };
  const [bytes] = sealMessage(phase.session, sa.role, header, serializePayloads(message.payloads));
  const port = sa.remote.port;
  return { from: { address: from.address, port }, to: { address: to.address, port }, bytes: bytes!, dontFragment: false, index: -1 };
}

/** A request in `from`'s name with its next message id, which it uses up. */
export function forgeRequest(from: Side, to: Side, exchangeType: number, payloads: readonly Payload[]): Packet {
  const sa = ikeSaOf(from);
  const packet = forge(from, to, { exchangeType, messageId: sa.window.nextSend, payloads });
  sa.window.nextSend += 1;
  return packet;
}

/** Answers the oldest waiting request of `asker` in the name of `answerer`, whose engine never sees the request. */
export function answerInstead(courier: Courier, asker: Side, answerer: Side, payloads: readonly Payload[]): void {
  const { header } = parseHeader(courier.keep(asker).bytes);
  const sa = ikeSaOf(answerer);
  if (header.isResponse || header.messageId !== sa.window.nextReceive) throw new Error(`${asker.name}'s oldest packet is no request that is due`);
  const packet = forge(answerer, asker, { exchangeType: header.exchangeType, messageId: header.messageId, payloads, isResponse: true });
  sa.window.nextReceive += 1;
  keepResponse(sa, header.messageId, [packet.bytes]);
  courier.hand(packet);
}
