import { contains } from "../../ipsec/traffic-selector.ts";
import { ownSpi, sessionOf, type IkeSa } from "../../ike/ike-sa.ts";
import { openPayload, sealMessage } from "../../ike/session.ts";
import { ExchangeType, PayloadType } from "../../wire/iana.ts";
import { parseHeader } from "../../wire/ikev2/header.ts";
import { parseMessage } from "../../wire/ikev2/message.ts";
import type { IkeSpi } from "../../wire/ikev2/message-types.ts";
import { concatOctets, readU16 } from "../../wire/octets.ts";
import type { Side } from "../pair.ts";
import { type Scene, scenes } from "./scenes.ts";
import { require, type Target } from "./target.ts";

/*
 * Messages under the right keys with contents that no peer should send. An input names a scene (one octet), an exchange in place of the genuine
 * one (one octet, most leave it), and then edits of the genuine message's payloads, six octets each.
 */

const EDIT_OCTETS = 6;
const MOST_EDITS = 12;
const LONGEST_BODY = 2_000;
/** More than any of these may ever be. */
const MOST_IKE_SAS = 6;
const MOST_WAITING = 16;

interface RawPayload {
  readonly type: number;
  readonly critical: boolean;
  readonly body: Uint8Array;
}

export const authenticTarget: Target = {
  name: "authentic-contents",
  watched: [/agent\/ike\//, /agent\/wire\/ikev2\//],
  // A handshake each.
  slowMs: 2_000,
  batch: 60,
  seeds: () => [
    ...scenes.map((_scene, index) => Uint8Array.of(index, 0)),
    ...scenes.map((_scene, index) => Uint8Array.of(index, 0, 3, 0, 0, 0, 0, 0)),
    ...scenes.map((_scene, index) => Uint8Array.of(index, 0, 4, 1, 0, 0, 0, 0)),
    ...[34, 35, 36, 37, 43, 44, 99].map((exchange) => Uint8Array.of(10, exchange)),
  ],
  run: (input) => {
    const scene = scenes[(input[0] ?? 0) % scenes.length]!();
    const eventsBefore = scene.to.events.length;
    const { datagrams, isProven, exchangeType } = forged(scene, input);
    const sent = scene.pair.link.sent.length;
    for (const bytes of datagrams) scene.courier.hand({ ...scene.packet, bytes });
    checkAnswers(scene, sent, exchangeType);
    if (exchangeType === ExchangeType.IKE_AUTH && !isProven)
      require(!scene.to.events.slice(eventsBefore).some((event) => event.kind === "ikeSaEstablished"), "nobody is let in without the proof of what he says");
    // The genuine one comes late, what waits is delivered, and time goes on.
    scene.courier.hand(scene.packet);
    scene.courier.leave();
    scene.pair.run(2_500);
    for (const side of [scene.pair.a, scene.pair.b]) checkBounds(side);
  },
};

/** The edited message, and whether it still has the genuine identity and proof of its sender. */
function forged(scene: Scene, input: Uint8Array): { readonly datagrams: Uint8Array[]; readonly isProven: boolean; readonly exchangeType: number } {
  const { header } = parseHeader(scene.packet.bytes);
  const sa = receiverOf(scene);
  const session = sessionOf(sa);
  const encrypted = parseMessage(scene.packet.bytes).payloads.at(-1);
  if (session === null || encrypted?.kind !== "sk") throw new Error("a scene's message is not protected");
  const genuine = split(encrypted.firstPayload, openPayload(session, sa.role, scene.packet.bytes, encrypted));
  const payloads = edited(genuine, input.subarray(2));
  const exchangeType = input[1] === undefined || input[1] < 34 || input[1] > 99 ? header.exchangeType : input[1];
  const contents = join(payloads);
  const sender = sa.role === "initiator" ? "responder" : "initiator";
  // Long enough for every edit: fragments have a target of their own.
  const datagrams = sealMessage(session, sender, { ...header, exchangeType }, contents, 60_000);
  const identity = header.isResponse ? PayloadType.IDr : PayloadType.IDi;
  const isProven = [identity, PayloadType.AUTH].every((type) => {
    const [was, is] = [genuine, payloads].map((list) => list.find((payload) => payload.type === type)?.body);
    return was !== undefined && is !== undefined && Buffer.compare(was, is) === 0;
  });
  return { datagrams, isProven, exchangeType };
}

function receiverOf({ to, packet }: Scene): IkeSa {
  const { header } = parseHeader(packet.bytes);
  const spi: IkeSpi = header.fromInitiator ? header.spiR : header.spiI;
  const sa = [...to.engine.ikeSas.values()].find((one) => ownSpi(one) === spi);
  if (sa === undefined) throw new Error("a scene's message has nobody to read it");
  return sa;
}

function split(firstPayload: number, plain: Uint8Array): RawPayload[] {
  const payloads: RawPayload[] = [];
  let type = firstPayload;
  for (let at = 0; type !== PayloadType.NONE && at + 4 <= plain.length; ) {
    const length = readU16(plain, at + 2);
    payloads.push({ type, critical: (plain[at + 1]! & 0x80) !== 0, body: plain.slice(at + 4, at + length) });
    type = plain[at]!;
    at += length;
  }
  return payloads;
}

function join(payloads: readonly RawPayload[]): { readonly firstPayload: number; readonly bytes: Uint8Array } {
  const parts = payloads.map(({ critical, body }, index) => {
    const length = body.length + 4;
    return concatOctets([Uint8Array.of(payloads[index + 1]?.type ?? 0, critical ? 0x80 : 0, length >> 8, length & 0xff), body]);
  });
  return { firstPayload: payloads[0]?.type ?? 0, bytes: concatOctets(parts) };
}

function edited(genuine: readonly RawPayload[], script: Uint8Array): RawPayload[] {
  const payloads = [...genuine];
  for (let at = 0, count = 0; at + EDIT_OCTETS <= script.length && count < MOST_EDITS; at += EDIT_OCTETS, count++)
    edit(payloads, script.subarray(at, at + EDIT_OCTETS));
  return payloads;
}

/** One edit: what, of which payload, where in it (two octets), with which value, how long. */
function edit(payloads: RawPayload[], script: Uint8Array): void {
  const [op = 0, which = 0, , , value = 0, length = 0] = script;
  const index = payloads.length === 0 ? 0 : which % payloads.length;
  const payload = payloads[index];
  const made: RawPayload = { type: value, critical: (which & 0x80) !== 0, body: new Uint8Array(length).fill(which) };
  if (payload === undefined || op % 10 === 9) return void payloads.splice(index, 0, made);
  const { body } = payload;
  const at = readU16(script, 2) % (body.length + 1);
  const replace = (by: Partial<RawPayload>): void => void payloads.splice(index, 1, { ...payload, ...by });
  switch (op % 10) {
    case 0:
    case 1:
      return replace({ body: body.map((octet, position) => (position === at ? value : octet)) });
    case 2:
      return replace({ body: concatOctets([body.subarray(0, at), body.subarray(at + 1 + (length % 40))]) });
    case 3:
      return void payloads.splice(index, 1);
    case 4:
      return void (payloads.length < 40 && payloads.splice(value % (payloads.length + 1), 0, payload));
    case 5:
      return void payloads.splice(value % payloads.length, 0, ...payloads.splice(index, 1));
    case 6:
      return replace({ type: value });
    case 7:
      return replace({ critical: !payload.critical });
    default:
      // A piece of it once more, as another proposal, selector or SPI would be.
      return replace({
        body: concatOctets([body.subarray(0, at), body.subarray(value % (body.length + 1)).subarray(0, length), body.subarray(at)]).subarray(0, LONGEST_BODY),
      });
  }
}

function checkAnswers({ pair, to, packet }: Scene, sentBefore: number, exchangeType: number): void {
  const { header } = parseHeader(packet.bytes);
  const sent = pair.link.sent.slice(sentBefore).filter((one) => one.from.address === to.address);
  const answers = sent.map((one) => parseHeader(one.bytes).header).filter((one) => one.isResponse);
  require(answers.length <= (header.isResponse ? 0 : 1), "a request gets one answer at most, an answer none");
  for (const answer of answers)
    require(answer.messageId === header.messageId && answer.exchangeType === exchangeType, "an answer has the number and the kind of its request");
}

function checkBounds(side: Side): void {
  require(side.bookkeeping.length === 0, `the books of the data plane balance: ${side.bookkeeping.join("; ")}`);
  require(side.engine.ikeSas.size <= MOST_IKE_SAS, "IKE SAs are bounded");
  for (const sa of side.engine.ikeSas.values()) require(sa.window.queue.length <= MOST_WAITING, "what waits on an IKE SA is bounded");
  const children = [...side.engine.links.values()].flatMap((link) => link.config.children);
  for (const sa of side.inbound.values()) {
    const within = children.some(
      (child) =>
        sa.localSelectors.every((one) => child.localSelectors.some((own) => contains(own, one))) &&
        sa.remoteSelectors.every((one) => child.remoteSelectors.some((own) => contains(own, one))),
    );
    require(within, "no SA goes beyond the networks that are configured");
  }
}
