import { createInterface } from "node:readline";
import { sealEsp } from "../crypto/esp-cipher.ts";
import { libc } from "../dataplane/ffi/native.ts";
import { DatagramSender, openUdpSocket, setOption, SOL_UDP, UDP_SEGMENT } from "../dataplane/ffi/udp-socket.ts";
import { NextHeader } from "../wire/esp.ts";
import { staticKeys, staticNumber, staticSpi } from "./static-keys.ts";

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
  /** Under the SA of this worker; absent: under the one for all. */
  readonly worker?: number;
  /** Of the same size, in the same message: the kernel passes them on as one packet (UDP_SEGMENT). */
  readonly behind?: readonly PlayedPacket[];
}

const SUITE = "aes128gcm16";
const PORT = 4_500;
const IP_TOS = 1;
const [, , local, remote] = process.argv;
const fd = openUdpSocket(4, PORT) ?? -1;
const sender = new DatagramSender();
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  send(JSON.parse(line));
  console.log("sent");
}
libc.close(fd);

function send(packet: PlayedPacket): void {
  const { trafficClass = 0, behind = [] } = packet;
  const sealed = [packet, ...behind].map(seal);
  if (!setOption(fd, 0, IP_TOS, trafficClass)) throw new Error("the kernel refuses this traffic class");
  if (!setOption(fd, SOL_UDP, UDP_SEGMENT, behind.length === 0 ? 0 : sealed[0]!.length)) throw new Error("the kernel does not cut messages");
  if (!sender.send(fd, local ?? "", { address: remote ?? "", port: PORT }, Buffer.concat(sealed))) throw new Error("the kernel did not take a packet");
}

function seal({ inner, sequence, extended = false, worker = 0 }: PlayedPacket): Uint8Array {
  const spi = staticSpi("left", staticNumber(worker));
  const packet = Buffer.from(inner, "hex");
  const iv = new Uint8Array(8);
  const id = { spi, sequence: sequence % 2 ** 32, ...(extended ? { sequenceHigh: Math.floor(sequence / 2 ** 32) } : {}) };
  new DataView(iv.buffer).setBigUint64(0, BigInt(sequence));
  return sealEsp(staticKeys(SUITE, spi), id, packet, (packet[0] ?? 0) >> 4 === 4 ? NextHeader.IPV4 : NextHeader.IPV6, iv);
}
