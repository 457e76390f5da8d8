import { afterAll, beforeEach, describe, expect, it, vi } from "vitest";
import { partsIn, usualSa } from "../../testing/sa-parts.ts";
import { staticKeys } from "../../testing/static-keys.ts";
import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import { Arena } from "../ffi/arena.ts";
import { libc } from "../ffi/native.ts";
import { openSocketPair } from "../ffi/socket-pair.ts";
import { InboundAhead } from "./inbound-ahead.ts";
import { makeReceiveSa } from "./inbound-sa.ts";
import { aheadOfTransmitSa, makeTransmitSa } from "./outbound-sa.ts";
import { ReadAhead } from "./read-ahead.ts";
import { ReceiveBatch } from "./receive-batch.ts";
import { ReceiveSas } from "./receive-sas.ts";

describe("ReadAhead", () => {
  function passes(count: number): string[] {
    const said: string[] = [];
    const say = (what: string) => {
      said.push(what);
      return 0;
    };
    const ahead = new ReadAhead<string>(8, {
      place: (index) => say(`place ${index}`),
      find: (index) => {
        say(`find ${index}`);
        return index === 1 ? null : `SA ${index}`;
      },
      self: (sa) => say(`self of ${sa}`),
      parts: (sa) => say(`parts of ${sa}`),
      ends: (sa, index) => say(`ends of ${sa} for ${index}`),
    });
    ahead.run(count);
    return said;
  }

  it("reads in passes, each of all packets, and nothing of a packet without an SA", () => {
    expect(passes(3)).toEqual([
      ...["place 0", "place 1", "place 2"],
      ...["find 0", "self of SA 0", "find 1", "find 2", "self of SA 2"],
      ...["parts of SA 0", "parts of SA 2"],
      ...["ends of SA 0 for 0", "ends of SA 2 for 2"],
    ]);
  });

  it.each([0, 1])("reads nothing for %i packets", (count) => {
    expect(passes(count)).toEqual([]);
  });

  it("reads of an outbound SA its counters' row and its line in the arena, and changes neither", () => {
    const arena = new Arena(1 << 20);
    const parts = partsIn(arena);
    const sa = makeTransmitSa(parts, { ...usualSa, direction: "outbound" }, 1, 1_500);
    const line = arena.bytes.slice(sa.lineAt, sa.lineAt + 64);
    const { self, parts: ofParts, ends } = aheadOfTransmitSa(arena, parts.counters);
    expect([self(sa), ofParts(sa), ends]).toEqual([1 | sa.maxInner, arena.words[sa.lineAt >>> 2]! | 0, null]);
    expect(arena.bytes.slice(sa.lineAt, sa.lineAt + 64)).toEqual(line);
  });
});

describe("InboundAhead", () => {
  const arena = new Arena(4 << 20);
  const parts = partsIn(arena);
  const pair = openSocketPair();
  const outAt = arena.allocate(4_096);
  const batch = new ReceiveBatch(arena);
  const sas = new ReceiveSas();
  const numbers = [0x1000, 0x80002000, 0xffffffff];
  for (const [index, spi] of numbers.entries())
    sas.add(
      makeReceiveSa(
        parts,
        {
          ...usualSa,
          direction: "inbound",
          spi: spi as EspSpi,
          keys: staticKeys("aes128gcm16", spi as EspSpi),
          replayWindowPackets: 64,
          localSelectors: [],
          remoteSelectors: [],
        },
        index + 1,
        1_500,
      ),
    );
  const place = vi.spyOn(sas, "place");
  const peek = vi.spyOn(sas, "peek");
  let ahead = new InboundAhead(arena, parts.counters, batch, sas);

  beforeEach(() => {
    ahead = new InboundAhead(arena, parts.counters, batch, sas);
    place.mockClear();
    peek.mockClear();
  });
  afterAll(() => {
    for (const fd of [pair.from, pair.into]) libc.close(fd);
  });

  /** Each message its packets' SPIs, of 40 octets each; returns how many came. */
  function receive(...messages: readonly (readonly number[])[]): number {
    const received: number[] = [];
    for (const spis of messages) {
      for (const [index, spi] of spis.entries()) {
        arena.view.setUint32(outAt + index * 40, spi);
        arena.view.setUint32(outAt + index * 40 + 4, 7);
      }
      libc.write(pair.into, arena.address + outAt, spis.length * 40);
      received.push(spis.length);
    }
    // As the kernel tells it of what UDP_GRO has put together.
    vi.spyOn(batch, "readControl").mockImplementation((index) => {
      batch.control.segmentOctets = received[index]! > 1 ? 40 : 0;
    });
    return batch.receive(pair.from);
  }

  it("reads ahead of the packets of all messages once, in whichever message they are", () => {
    const count = receive([numbers[0]!, numbers[1]!], [numbers[2]!], [0x7777, 0]);
    for (let index = 0; index < count; index++) ahead.of(index, count);
    const signed = [...numbers, 0x7777, 0].map((spi) => [spi | 0]);
    expect(place.mock.calls).toEqual(signed);
    expect(peek.mock.calls).toEqual(signed);
    expect(peek.mock.results.map(({ value }) => value?.spi ?? null)).toEqual([...numbers, null, null]);
  });

  it("leaves packets of one SA alone, and begins anew with the next messages", () => {
    const count = receive([numbers[0]!, numbers[0]!], [numbers[0]!]);
    for (let index = 0; index < count; index++) ahead.of(index, count);
    expect(place).not.toHaveBeenCalled();
    ahead.of(0, receive([numbers[1]!, numbers[2]!]));
    expect(place).toHaveBeenCalledTimes(2);
  });

  it("reads no further ahead than the nearest cache goes, but of the last message all", () => {
    const many = Array.from({ length: 60 }, (_, index) => numbers[index % 3]!);
    const count = receive(many, many, many);
    ahead.of(0, count);
    expect(place).toHaveBeenCalledTimes(120);
    ahead.of(1, count);
    expect(place).toHaveBeenCalledTimes(120);
    ahead.of(2, count);
    expect(place).toHaveBeenCalledTimes(180);
  });

  it("takes what is too short for ESP for no packet", () => {
    const lengths = [40, 7, 0, 87];
    for (const [index, octets] of lengths.entries()) {
      for (let at = 0; at < octets; at += 40) arena.view.setUint32(outAt + at, numbers[(index + at / 40) % 3]!);
      libc.write(pair.into, arena.address + outAt, octets);
    }
    vi.spyOn(batch, "readControl").mockImplementation((index) => {
      batch.control.segmentOctets = lengths[index]! > 40 ? 40 : 0;
    });
    expect(batch.receive(pair.from)).toBe(4);
    for (let index = 0; index < 4; index++) ahead.of(index, 4);
    // The whole one, and the two before the last one's tail.
    expect(place.mock.calls).toEqual([[numbers[0]! | 0], [numbers[0]! | 0], [numbers[1]! | 0]]);
  });

  it("reads ahead of no more than it has room for, whatever a message holds", () => {
    vi.spyOn(batch, "readControl").mockImplementation(() => {
      batch.control.segmentOctets = 8;
    });
    for (let message = 0; message < 2; message++) {
      for (let index = 0; index < 200; index++) arena.view.setUint32(outAt + index * 8, numbers[index % 3]!);
      libc.write(pair.into, arena.address + outAt, message === 0 ? 63 * 8 : 200 * 8);
    }
    ahead.of(0, batch.receive(pair.from));
    expect(place).toHaveBeenCalledTimes(63 + 64);
  });
});
