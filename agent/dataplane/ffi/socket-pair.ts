import { errno, libc } from "./native.ts";
import { withScratch } from "./scratch.ts";
import { widenBuffers } from "./udp-socket.ts";

const AF_UNIX = 1;
const SOCK_DGRAM_NONBLOCK_CLOEXEC = 2 | 0o4000 | 0o2000000;

/** Two ends of a queue of messages within this process: what is written to `into` is read from `from` (socketpair(2)). @throws Error with a sentence. */
export function openSocketPair(): { readonly from: number; readonly into: number } {
  const pair = withScratch(8, (arena, at) => {
    if (libc.socketpair(AF_UNIX, SOCK_DGRAM_NONBLOCK_CLOEXEC, 0, arena.address + at) !== 0)
      throw new Error(`a pair of sockets cannot be made (errno ${errno()})`);
    return { from: arena.view.getInt32(at, true), into: arena.view.getInt32(at + 4, true) };
  });
  widenBuffers(pair.into);
  return pair;
}
