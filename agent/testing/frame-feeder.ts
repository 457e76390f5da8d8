import { createInterface } from "node:readline";
import { Arena } from "../dataplane/ffi/arena.ts";
import { errno, libc } from "../dataplane/ffi/native.ts";
import { openTun } from "../dataplane/ffi/tun-device.ts";

/**
 * A host that the gateway forwards for: a TUN device of this name (its one argument) in the gateway's namespace. Prints `ready`; each line of standard
 * input is a frame (hexadecimal: vnet header, IP packet) that the host sends, answered by `sent`. The device goes when standard input ends.
 */
const arena = new Arena(1 << 17);
const frameAt = arena.allocate(1 << 16);
const fd = openTun(process.argv[2] ?? "", 1_500).writers[0]!;
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const frame = Buffer.from(line, "hex");
  arena.bytes.set(frame, frameAt);
  const written = Number(libc.write(fd, arena.address + frameAt, frame.length));
  if (written !== frame.length) throw new Error(`the kernel did not take a frame of ${frame.length} octets (errno ${errno()})`);
  console.log("sent");
}
libc.close(fd);
