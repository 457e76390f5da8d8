import { afterAll, expect, test } from "vitest";
import { libc } from "../ffi/native.ts";
import { withScratch } from "../ffi/scratch.ts";
import { openSocketPair } from "../ffi/socket-pair.ts";
import { openWaker } from "../ffi/waiting.ts";
import type { KernelEvent } from "./kernel-events.ts";
import { KernelListener } from "./kernel-listener.ts";
import { encodeMessage } from "./netlink.ts";
import { XfrmMessage } from "./xfrm-structures.ts";

const AF_UNIX = 1;
const SOCK_STREAM_NONBLOCK_CLOEXEC = 1 | 0o4000 | 0o2000000;
const flushed: KernelEvent = { kind: "policyDeleted", index: null };
const opened: number[] = [];

afterAll(() => {
  for (const fd of opened) libc.close(fd);
});

/** As long as an IKE header. */
const message = new Uint8Array(28).fill(7);
const withMarker = (octets: Uint8Array) => Uint8Array.of(0, 0, 0, 0, ...octets);

test("hears the kernel, the other family's IKE and the order to end while port and events never run dry", async () => {
  const [policies, other] = [pair(), pair()];
  const ike = Promise.withResolvers<Uint8Array>();
  const event = Promise.withResolvers<KernelEvent>();
  // The first is none: it is shorter than a header.
  write(other.into, withMarker(message.subarray(1)));
  write(other.into, withMarker(message));
  const options = { udpFds: [neverDry(), other.from] as const, eventFd: neverDry(), policyFd: policies.from, linkFd: null, wakeFd: kept(openWaker()) };
  const listener = new KernelListener(options, {
    event: event.resolve,
    ike: ({ bytes }) => ike.resolve(bytes),
    replaced: ike.reject,
    failed: ike.reject,
  });
  await listener.ready;
  expect(await ike.promise).toEqual(message);
  write(policies.into, encodeMessage(XfrmMessage.FLUSHPOLICY, 0, 0, new Uint8Array(0)));
  expect(await event.promise).toEqual(flushed);
  await listener.stop();
});

/** A stream whose other end is closed: each read of it gives a message without octets, for ever, as a flood that comes faster than it is read. */
function neverDry(): number {
  const [from, into] = withScratch(8, (arena, at) => {
    expect(libc.socketpair(AF_UNIX, SOCK_STREAM_NONBLOCK_CLOEXEC, 0, arena.address + at)).toBe(0);
    return [arena.view.getInt32(at, true), arena.view.getInt32(at + 4, true)];
  });
  libc.close(into);
  return kept(from);
}

function pair(): ReturnType<typeof openSocketPair> {
  const both = openSocketPair();
  opened.push(both.from, both.into);
  return both;
}

function kept(fd: number): number {
  opened.push(fd);
  return fd;
}

function write(fd: number, message: Uint8Array): void {
  withScratch(message.length, (arena, at) => {
    arena.bytes.set(message, at);
    libc.write(fd, arena.address + at, message.length);
  });
}
