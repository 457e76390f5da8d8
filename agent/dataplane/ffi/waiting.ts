import type { Arena } from "./arena.ts";
import { Errno, errno, libc } from "./native.ts";
import { withScratch } from "./scratch.ts";

const POLLIN = 1;
const POLLOUT = 4;
const EFD_NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;

/** An eventfd: wakes a thread that is blocked in poll, which never sees a postMessage. */
export function openWaker(): number {
  const fd: number = libc.eventfd(0, EFD_NONBLOCK_CLOEXEC);
  if (fd < 0) throw new Error(`an eventfd cannot be made (errno ${errno()})`);
  return fd;
}

/** Wakes whoever waits for this eventfd. */
export function wake(fd: number): void {
  withScratch(8, (arena, at) => {
    arena.view.setUint32(at, 1, true);
    libc.write(fd, arena.address + at, 8);
  });
}

/** Blocks until one of a fixed set of descriptors can be read. `ready(i)` tells which after `wait`. */
export class PollSet {
  readonly #arena: Arena;
  readonly #at: number;
  readonly #count: number;
  readonly #drain: number;

  constructor(arena: Arena, fds: readonly number[]) {
    this.#arena = arena;
    this.#count = fds.length;
    this.#at = arena.allocate(8 * fds.length);
    this.#drain = arena.allocate(8);
    for (const [index, fd] of fds.entries()) {
      arena.view.setInt32(this.#at + 8 * index, fd, true);
      arena.view.setInt16(this.#at + 8 * index + 4, POLLIN, true);
    }
  }

  /** @throws Error when poll itself fails; an interrupting signal does not count. */
  wait(timeoutMs: number): void {
    const ready: number = libc.poll(this.#arena.address + this.#at, this.#count, timeoutMs);
    if (ready < 0 && errno() !== Errno.EINTR) throw new Error(`poll failed (errno ${errno()})`);
  }

  ready(index: number): boolean {
    return this.#arena.view.getInt16(this.#at + 8 * index + 6, true) !== 0;
  }

  /** Whether a descriptor is waited for: one whose device is gone would be ready for ever. */
  attend(index: number, fd: number, isAttended: boolean): void {
    this.#arena.view.setInt32(this.#at + 8 * index, isAttended ? fd : -1, true);
  }

  /** Resets an eventfd of the set. */
  drain(fd: number): void {
    libc.read(fd, this.#arena.address + this.#drain, 8);
  }
}

/** Waits until a socket takes more, at most `timeoutMs`. */
export function waitWritable(arena: Arena, scratchAt: number, fd: number, timeoutMs: number): void {
  arena.view.setInt32(scratchAt, fd, true);
  arena.view.setInt32(scratchAt + 4, POLLOUT, true);
  libc.poll(arena.address + scratchAt, 1, timeoutMs);
}
