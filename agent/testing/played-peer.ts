import { createInterface } from "node:readline";
import { sealEsp } from "../crypto/esp-cipher.ts";
import { Arena } from "../dataplane/ffi/arena.ts";
import { libc } from "../dataplane/ffi/native.ts";
import { DatagramSender, openUdpSocket } from "../dataplane/ffi/udp-socket.ts";
import { NextHeader } from "../wire/esp.ts";
import { staticKeys, staticSpi } from "./static-keys.ts";

/**
 * Plays the right gateway towards the left one, with the reference cipher and whatever outer header is asked for. Prints `ready`; each line of
 * standard input is one packet to seal and send (`PlayedPacket`), answered by `sent`. Ends with standard input.
 */
export interface PlayedPacket {
  /** Hexadecimal, from its IP header on. */
  readonly inner: string;
  readonly sequence: number;
  /** With an extended sequence number: its high bits are not on the wire. */
  readonly extended?: boolean;
  /** Of the outer header. */
  readonly trafficClass?: number;
}

const SUITE = "aes128gcm16";
const PORT = 4_500;
const IP_TOS = 1;
const [, , local, remote] = process.argv;
const fd = openUdpSocket(4, PORT) ?? -1;
const arena = new Arena(1);
const valueAt = arena.allocate(4);
const sender = new DatagramSender();
const spi = staticSpi("left", 0);
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  send(JSON.parse(line));
  console.log("sent");
}
libc.close(fd);

function send({ inner, sequence, extended = false, trafficClass = 0 }: PlayedPacket): void {
  const packet = Buffer.from(inner, "hex");
  const iv = new Uint8Array(8);
  const id = { spi, sequence: sequence % 2 ** 32, ...(extended ? { sequenceHigh: Math.floor(sequence / 2 ** 32) } : {}) };
  new DataView(iv.buffer).setBigUint64(0, BigInt(sequence));
  const esp = sealEsp(staticKeys(SUITE, spi), id, packet, (packet[0] ?? 0) >> 4 === 4 ? NextHeader.IPV4 : NextHeader.IPV6, iv);
  arena.view.setInt32(valueAt, trafficClass, true);
  if (libc.setsockopt(fd, 0, IP_TOS, arena.address + valueAt, 4) !== 0) throw new Error("the kernel refuses this traffic class");
  if (!sender.send(fd, local ?? "", { address: remote ?? "", port: PORT }, esp)) throw new Error("the kernel did not take a packet");
}
