import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { startKeyExchange } from "../agent/crypto/key-exchange.ts";
import { offer } from "../agent/ike/negotiation/choose-proposal.ts";
import { parseProposal } from "../agent/ike/negotiation/proposal-keywords.ts";
import { NotifyType } from "../agent/wire/iana.ts";
import { parseMessage } from "../agent/wire/ikev2/message.ts";
import type { Payload } from "../agent/wire/ikev2/message-types.ts";
import { initRequest } from "./init-request.ts";

/*
 * `node bench/unfinished-initiator.ts ADDRESS COUNT`: an initiator at an address of its own that begins IKE SAs, answers when it is asked for a
 * cookie (RFC 7296 §2.6), and never goes on to IKE_AUTH. It has COUNT under way at most until nothing has come back for a second, writes
 * {"begun","cookies"} as a line of JSON: the IKE SAs that the responder made, and the cookies that it asked for; then it begins another one every second
 * until it is ended, and writes {"begun"} anew for each that the responder makes.
 */

const [target = "", count = "1"] = process.argv.slice(2);
const quietMilliseconds = 1_000;
const atOnce = 32;

const proposal = [parseProposal("aes256gcm16-prfsha384-x25519", "ike")];
const kex = startKeyExchange(proposal[0]!.kex[0]!);
const open = new Map<bigint, readonly Payload[]>();
const socket = createSocket("udp4");
let [begun, cookies, left, heardAt] = [0, 0, Number(count), performance.now()];
let isFull = false;

socket.on("message", (datagram) => {
  const { header, payloads } = parseMessage(datagram);
  const request = open.get(header.spiI);
  if (request === undefined || header.exchangeType !== 34) return;
  heardAt = performance.now();
  const cookie = payloads.find((payload) => payload.kind === "notify" && payload.type === NotifyType.COOKIE);
  if (cookie !== undefined) {
    cookies += 1;
    return send(header.spiI, [cookie, ...request]);
  }
  open.delete(header.spiI);
  begun += 1;
  if (isFull) tell({ begun });
  else next();
});
socket.bind(500, () => {
  for (let i = 0; i < atOnce; i++) next();
});

const watch = setInterval(() => {
  if (performance.now() - heardAt < quietMilliseconds) return;
  clearInterval(watch);
  isFull = true;
  tell({ begun, cookies });
  setInterval(begin, 1_000);
}, 100);

function next(): void {
  if (left === 0) return;
  left -= 1;
  begin();
}

function begin(): void {
  const spi = randomBytes(8).readBigUInt64BE() | 1n;
  const request: readonly Payload[] = [
    { kind: "sa", proposals: offer(proposal, new Uint8Array(0), true) },
    { kind: "ke", method: kex.method, data: kex.publicData },
    { kind: "nonce", data: new Uint8Array(randomBytes(32)) },
  ];
  open.set(spi, request);
  send(spi, request);
}

function send(spi: bigint, payloads: readonly Payload[]): void {
  socket.send(initRequest(spi, payloads), 500, target);
}

function tell(facts: Readonly<Record<string, number>>): void {
  process.stdout.write(`${JSON.stringify(facts)}\n`);
}
