import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Arena } from "../ffi/arena.ts";
import { Errno, libc } from "../ffi/native.ts";
import { openSocketPair } from "../ffi/socket-pair.ts";
import { FrameReader } from "./frame-reader.ts";

const arena = new Arena(4 << 20);
const outAt = arena.allocate(65_545);
let pair = { from: -1, into: -1 };
let frames = new FrameReader(arena, -1);
let behindAt = 0;

beforeEach(() => {
  pair = openSocketPair();
  frames = new FrameReader(arena, pair.from);
  behindAt = arena.allocate(64);
});
afterEach(() => {
  for (const fd of [pair.from, pair.into]) libc.close(fd);
});

function send(...frameOctets: readonly number[]): void {
  for (const [index, octets] of frameOctets.entries()) {
    arena.bytes.fill(index + 1, outAt, outAt + octets);
    expect(libc.write(pair.into, arena.address + outAt, octets)).toBe(octets);
  }
}

/** Each frame's length and the octet that it is full of; null: it is full of several. */
function read(): (readonly [number, number | null])[] {
  return Array.from({ length: frames.read() }, (_, index) => {
    const frame = arena.bytes.subarray(frames.at(index), frames.at(index) + frames.octets(index));
    return [frame.length, frame.every((octet) => octet === frame[0]) ? frame[0]! : null] as const;
  });
}

describe("FrameReader", () => {
  it("reads small frames side by side until there is none, and says so", () => {
    send(74, 63, 64, 65, 2_048);
    expect(read()).toEqual([
      [74, 1],
      [63, 2],
      [64, 3],
      [65, 4],
      [2_048, 5],
    ]);
    expect(frames.failure).toBe(Errno.EAGAIN);
    expect(read()).toEqual([]);
  });

  it("stops behind a large one: what follows is read once that has been taken", () => {
    send(100, 2_049, 100);
    expect(read()).toEqual([
      [100, 1],
      [2_049, 2],
    ]);
    expect(frames.failure).toBe(0);
    expect(read()).toEqual([[100, 3]]);
  });

  it("has room for the largest behind as many small ones as can be before it", () => {
    const before = Array.from({ length: FrameReader.most - 1 }, () => 2_048);
    send(...before, 65_545);
    expect(read()).toEqual([...before.map((octets, index) => [octets, index + 1]), [65_545, FrameReader.most]]);
    expect(frames.at(FrameReader.most - 1) + 65_545).toBeLessThanOrEqual(behindAt);
  });

  it("reads no more at once than it has places", () => {
    send(...Array.from({ length: FrameReader.most + 3 }, () => 80));
    expect(read()).toHaveLength(FrameReader.most);
    expect(frames.failure).toBe(0);
    expect(read()).toHaveLength(3);
  });

  it("tells what went wrong, and what was read before", () => {
    send(80);
    expect(read()).toEqual([[80, 1]]);
    expect(new FrameReader(arena, -1).read()).toBe(0);
    frames = new FrameReader(arena, -1);
    expect(read()).toEqual([]);
    expect(frames.failure).toBe(Errno.EBADF);
  });
});
