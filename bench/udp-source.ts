import { Arena } from "../agent/dataplane/ffi/arena.ts";
import { Errno, errno, libc } from "../agent/dataplane/ffi/native.ts";
import { SOCKADDR_OCTETS, writeIov, writeMessageHeader, writeSockaddr } from "../agent/dataplane/ffi/udp-socket.ts";

/*
 * `node bench/udp-source.ts PORT PAYLOAD-OCTETS SECONDS NETWORK [COUNT]`: UDP datagrams as fast as the kernel takes them, 64 in a call and each on its
 * own (no segmentation offload), so that whoever carries them is what limits. To the first address of a network of 256, or of as many that follow each
 * other, each in turn. Prints how many were taken, and in what time.
 */
const AF_INET = 2;
const SOCK_DGRAM = 2;
const AT_ONCE = 64;
const SOCKADDR_IN_OCTETS = 16;
const MMSGHDR_OCTETS = 64;
const BATCHES_A_LOOK = 50;
/** Networks that follow each other may be behind one SA: a packet's is far from the one before. A prime, so that all have their turn unless it divides their number. */
const STEP = 131;

const [port = "9", payload = "36", seconds = "1", network = "", count = "1"] = process.argv.slice(2);
const targets = Number(count);
const arena = new Arena((1 << 17) + 64 * targets);
const fd: number = libc.socket(AF_INET, SOCK_DGRAM, 0);
if (fd < 0) throw new Error(`a UDP socket cannot be made (errno ${errno()})`);
const [first = 0, second = 0] = network.split(".").map(Number);
const third = Number(network.split(".")[2]);
const names = Array.from({ length: targets }, (_, i) => {
  const at = arena.allocate(SOCKADDR_OCTETS);
  writeSockaddr(arena, at, { address: `${first}.${second + ((third + i) >> 8)}.${(third + i) & 255}.1`, port: Number(port) });
  return at;
});
const data = arena.allocate(Number(payload));
const iov = arena.allocate(16);
writeIov(arena, iov, data, Number(payload));
const messages = arena.allocate(MMSGHDR_OCTETS * AT_ONCE);
for (let i = 0; i < AT_ONCE; i++) {
  writeMessageHeader(arena, messages + MMSGHDR_OCTETS * i, { at: names[0]!, octets: SOCKADDR_IN_OCTETS }, { at: iov, count: 1 }, { at: 0, octets: 0 });
}
let sent = 0;
let next = 0;
const began = performance.now();
for (const end = began + Number(seconds) * 1_000; performance.now() < end; ) {
  for (let batch = 0; batch < BATCHES_A_LOOK; batch++) {
    if (targets > 1) {
      for (let i = 0; i < AT_ONCE; i++) {
        arena.writePointer(messages + MMSGHDR_OCTETS * i, names[next]!);
        next = (next + STEP) % targets;
      }
    }
    const taken: number = libc.sendmmsg(fd, arena.address + messages, AT_ONCE, 0);
    if (taken >= 0) sent += taken;
    else if (errno() !== Errno.ENOBUFS && errno() !== Errno.EAGAIN) throw new Error(`sendmmsg failed (errno ${errno()})`);
  }
}
const elapsed = (performance.now() - began) / 1_000;
libc.close(fd);
process.stdout.write(`${JSON.stringify({ sent, seconds: elapsed })}\n`);
