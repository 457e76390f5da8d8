import { randomBytes } from "node:crypto";
import { execFileSync } from "node:child_process";
import { writeSync } from "node:fs";
import { openTun, VNET_HEADER_OCTETS } from "../agent/dataplane/ffi/tun-device.ts";
import { startKeyExchange } from "../agent/crypto/key-exchange.ts";
import { offer } from "../agent/ike/negotiation/choose-proposal.ts";
import { parseProposal } from "../agent/ike/negotiation/proposal-keywords.ts";
import { internetChecksum } from "../agent/wire/checksum.ts";
import { initRequest } from "./init-request.ts";

/*
 * `node bench/flood-sender.ts ADDRESS A_SECOND SECONDS`, or until SIGTERM: IKE_SA_INIT requests that are good in all but their senders, from 65,536 addresses of
 * 10.66.0.0/16, written into a TUN device of this namespace, which routes them. The answers go back into the device and are read by nobody.
 */

const [target = "", rate = "20000", seconds = "30"] = process.argv.slice(2);
const device = "flood0";
const tun = openTun(device, 1_500).writers[0]!;
for (const line of [`link set ${device} up`, `route add 10.66.0.0/16 dev ${device}`]) execFileSync("ip", line.split(" "));
const packet = template();
const started = performance.now();
let end = started + Number(seconds) * 1_000;
process.once("SIGTERM", () => {
  end = performance.now();
});
let sent = 0;
// A hundred times a second what is due by then: evenly enough, and bounded when the machine is slow.
const timer = setInterval(() => {
  const now = performance.now();
  const due = Math.min(((Math.min(now, end) - started) / 1_000) * Number(rate), sent + Number(rate) / 20);
  while (sent < due) send();
  if (now < end) return;
  clearInterval(timer);
  process.stdout.write(`${JSON.stringify({ sent, aSecond: sent / ((performance.now() - started) / 1_000) })}\n`);
  process.exit(0);
}, 5);

function send(): void {
  const ip = VNET_HEADER_OCTETS;
  packet.writeUInt16BE(sent & 0xffff, ip + 14);
  packet.writeUInt32BE(sent >>> 0, ip + 28);
  packet.writeUInt16BE(0, ip + 10);
  packet.writeUInt16BE(internetChecksum(packet, ip, ip + 20), ip + 10);
  try {
    writeSync(tun, packet);
  } catch {
    // The device is full: one that was not sent, which the rate then says.
    return;
  }
  sent += 1;
}

/** virtio_net_hdr, IPv4, UDP without a checksum, IKE. */
function template(): Buffer {
  const specs = [parseProposal("aes256gcm16-prfsha384-x25519", "ike")];
  const kex = startKeyExchange(specs[0]!.kex[0]!);
  const message = initRequest(0x1122334455667788n, [
    { kind: "sa", proposals: offer(specs, new Uint8Array(0), true) },
    { kind: "ke", method: kex.method, data: kex.publicData },
    { kind: "nonce", data: new Uint8Array(randomBytes(32)) },
  ]);
  const bytes = Buffer.alloc(VNET_HEADER_OCTETS + 28 + message.length);
  const ip = VNET_HEADER_OCTETS;
  bytes[ip] = 0x45;
  bytes.writeUInt16BE(28 + message.length, ip + 2);
  bytes[ip + 8] = 64;
  bytes[ip + 9] = 17;
  bytes.set([10, 66, 0, 0], ip + 12);
  bytes.set(target.split(".").map(Number), ip + 16);
  bytes.writeUInt16BE(40_000, ip + 20);
  bytes.writeUInt16BE(500, ip + 22);
  bytes.writeUInt16BE(8 + message.length, ip + 24);
  bytes.set(message, ip + 28);
  return bytes;
}
