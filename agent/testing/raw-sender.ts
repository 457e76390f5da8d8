import { libc } from "../dataplane/ffi/native.ts";
import { AF_INET, AF_INET6, DatagramSender } from "../dataplane/ffi/udp-socket.ts";

/** Sends payloads (hexadecimal) as IP packets of one protocol, whose headers, and of ICMPv6 the checksum too, the kernel writes. One JSON object as argument. */
interface Order {
  readonly source: string;
  readonly target: string;
  readonly protocol: number;
  readonly payloads: readonly string[];
}

const SOCK_RAW = 3;
const { source, target, protocol, payloads }: Order = JSON.parse(process.argv[2] ?? "{}");
const fd: number = libc.socket(target.includes(":") ? AF_INET6 : AF_INET, SOCK_RAW, protocol);
if (fd < 0) throw new Error("the kernel gives no raw socket");
const sender = new DatagramSender();
for (const payload of payloads) {
  if (!sender.send(fd, source, { address: target, port: 0 }, Buffer.from(payload, "hex"))) throw new Error("the kernel did not take a packet");
}
libc.close(fd);
