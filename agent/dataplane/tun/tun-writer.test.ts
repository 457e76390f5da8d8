import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { buildDatagram, buildTcp, headerOctets, naiveChecksum, naiveTransportChecksum, type TcpPacket } from "../../testing/inner-packets.ts";
import { makeIpPacketView, readIpPacket } from "../../wire/ip.ts";
import { Arena } from "../ffi/arena.ts";
import { VNET_HEADER_OCTETS, Vnet } from "../ffi/tun-device.ts";
import { CounterTable } from "./counters.ts";
import { segmentTcp, segmentUdp } from "./segmentation.ts";
import { TcpFlag } from "./tcp-header.ts";
import { TunWriter } from "./tun-writer.ts";

/* A file stands in for the device: every frame's IP header says where the next begins. */
const directory = mkdtempSync(join(tmpdir(), "cvdt-writer-"));
const arena = new Arena(4 << 20);
const inputAt = arena.allocate(1 << 20);
const piecesAt = arena.allocate(1 << 20);
const counters = CounterTable.ofRows(4);
const ROW = 1;
let files = 0;

afterAll(() => rmSync(directory, { recursive: true }));

interface Frame {
  readonly vnet: DataView;
  readonly packet: Uint8Array;
}

/** What a writer writes for these packets, given to it in this order. */
function written(packets: readonly Uint8Array[], mergesDatagrams = true): Frame[] {
  const path = join(directory, String(files++));
  const fd = openSync(path, "w");
  const writer = new TunWriter(arena, fd, counters, mergesDatagrams);
  let at = inputAt;
  for (const packet of packets) {
    arena.bytes.set(packet, at);
    give(writer, at, packet, ROW);
    at += packet.length + 5;
  }
  writer.flush();
  closeSync(fd);
  return framesOf(new Uint8Array(readFileSync(path)));
}

/** As the inbound worker does; what lies behind the packet may be padding that belongs to no packet (RFC 4303 §2.7). */
function give(writer: TunWriter, at: number, packet: Uint8Array, row: number): void {
  const octets = writer.extend(at, at + packet.length + 3, packet[0]! >> 4, row);
  if (octets !== 0) return expect(octets).toBe(packet.length);
  const view = makeIpPacketView();
  if (!readIpPacket(arena.bytes, at, at + packet.length, view)) throw new Error("not a packet");
  writer.write(at, view, row);
}

function framesOf(bytes: Uint8Array): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.length; ) {
    const start = at + VNET_HEADER_OCTETS;
    const view = makeIpPacketView();
    if (!readIpPacket(bytes, start, bytes.length, view)) throw new Error("a frame without a packet was written");
    at = start + view.totalLength;
    frames.push({ vnet: new DataView(bytes.slice(start - VNET_HEADER_OCTETS, start).buffer), packet: bytes.slice(start, at) });
  }
  return frames;
}

/** What the kernel makes of a frame: the packet, or its segments with checksums completed. */
function unmerged({ vnet, packet }: Frame): Uint8Array[] {
  if (vnet.getUint8(1) === Vnet.GSO_NONE) return [packet];
  const view = makeIpPacketView();
  arena.bytes.set(packet, piecesAt);
  readIpPacket(arena.bytes, piecesAt, piecesAt + packet.length, view);
  const pieces: Uint8Array[] = [];
  const segment = vnet.getUint8(1) === Vnet.GSO_UDP_L4 ? segmentUdp : segmentTcp;
  segment(
    arena,
    piecesAt,
    view,
    vnet.getUint16(4, true),
    () => piecesAt + 70_000,
    (at, octets) => pieces.push(arena.bytes.slice(at, at + octets)) > 0,
  );
  return pieces;
}

const v4 = { family: 4, source: Uint8Array.of(10, 0, 0, 1), destination: Uint8Array.of(10, 9, 0, 2) } as const;
const v6 = { family: 6, source: new Uint8Array(16).fill(0xfd), destination: new Uint8Array(16).fill(0xfc) } as const;
const base = {
  sourcePort: 40_000,
  destinationPort: 443,
  flags: TcpFlag.ACK,
  options: Uint8Array.of(1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8),
  sequence: 1_000,
} as const;
const payload = (octets: number, mark: number) => new Uint8Array(octets).fill(mark);

/** `count` segments that follow each other. */
function run(count: number, octets: number, changes: Partial<TcpPacket> = {}): Uint8Array[] {
  return Array.from({ length: count }, (_, index) =>
    buildTcp({ ...v4, ...base, sequence: (0xffff_fff0 + index * octets) >>> 0, identification: index, payload: payload(octets, index), ...changes }),
  );
}

describe("TunWriter", () => {
  it("hands over runs that, cut again, are what came in: every octet and checksum", () => {
    const runs = fc.record({
      address: fc.constantFrom(v4, v6),
      octets: fc.integer({ min: 1, max: 1_400 }),
      count: fc.integer({ min: 1, max: 80 }),
      lastOctets: fc.integer({ min: 1, max: 1_400 }),
      isPushed: fc.boolean(),
      sequence: fc.nat(0xffffffff),
    });
    fc.assert(
      fc.property(fc.array(runs, { minLength: 1, maxLength: 4 }), (specs) => {
        const packets = specs.flatMap(({ address, octets, count, lastOctets, isPushed, sequence }, which) =>
          Array.from({ length: count }, (_, index) => {
            const isLast = index === count - 1;
            return buildTcp({
              ...address,
              ...base,
              sourcePort: which,
              sequence: (sequence + index * octets) >>> 0,
              identification: index % 64,
              flags: TcpFlag.ACK | (isLast && isPushed ? TcpFlag.PSH : 0),
              payload: payload(isLast ? Math.min(lastOctets, octets) : octets, index),
            });
          }),
        );
        const frames = written(packets);
        const out = frames.flatMap(unmerged);
        expect(out).toHaveLength(packets.length);
        // The identification restarts with each frame: the kernel counts it on from the first segment's.
        for (const [index, packet] of packets.entries()) expect(withoutIdentification(out[index]!).equals(withoutIdentification(packet))).toBe(true);
        for (const packet of out) expect(naiveTransportChecksum(packet)).toBe(0);
      }),
      { numRuns: 25 },
    );
  });

  it("keeps order and every octet of flows that interleave, of what is no TCP between them, and of a segment with a wrong checksum, which goes alone", () => {
    const step = fc.record({
      flow: fc.nat(3),
      count: fc.integer({ min: 1, max: 6 }),
      content: fc.uint8Array({ minLength: 1, maxLength: 200 }),
      what: fc.constantFrom("tcp", "tcp", "tcp", "datagram", "broken"),
      acknowledges: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 30 }), (steps) => {
        const next = [1, 0xffff_ff80, 70_000, 5];
        const packets: Uint8Array[] = [];
        const broken = new Set<string>();
        for (const { flow, count, content, what, acknowledges } of steps) {
          const ends = { ...(flow % 2 === 0 ? v4 : v6), sourcePort: flow, destinationPort: 80 };
          for (let index = 0; index < count; index++) {
            const payload = content.map((octet) => octet ^ index);
            if (what === "datagram") {
              packets.push(buildDatagram({ ...ends, payload }));
              continue;
            }
            const flags = TcpFlag.ACK | (acknowledges ? TcpFlag.PSH : 0);
            const packet = buildTcp({ ...base, ...ends, sequence: next[flow]!, identification: index, flags, payload });
            next[flow] = (next[flow]! + payload.length) % 2 ** 32;
            if (what === "broken") {
              packet[packet.length - 1] = packet[packet.length - 1]! ^ 0x11;
              broken.add(Buffer.from(packet).toString("hex"));
            }
            packets.push(packet);
          }
        }
        const frames = written(packets);
        const out = frames.flatMap(unmerged);
        expect(out).toHaveLength(packets.length);
        for (const [index, packet] of packets.entries()) expect(withoutIdentification(out[index]!).equals(withoutIdentification(packet))).toBe(true);
        const alone = frames.filter(({ vnet }) => vnet.getUint8(1) === Vnet.GSO_NONE).map(({ packet }) => Buffer.from(packet).toString("hex"));
        for (const packet of broken) expect(alone).toContain(packet);
      }),
      { numRuns: 60 },
    );
  });

  it("gives back what was cut: segments of a large packet, merged and cut again, are the same segments", () => {
    const large = fc.record({
      address: fc.constantFrom(v4, v6),
      content: fc.uint8Array({ minLength: 1, maxLength: 3_000 }),
      times: fc.integer({ min: 1, max: 20 }),
      segmentOctets: fc.integer({ min: 300, max: 1_448 }),
      sequence: fc.nat(0xffffffff),
      identification: fc.nat(0xffff),
      isPushed: fc.boolean(),
    });
    fc.assert(
      fc.property(large, ({ address, content, times, segmentOctets, sequence, identification, isPushed }) => {
        const payload = Uint8Array.from({ length: Math.min(content.length * times, 60_000) }, (_, index) => content[index % content.length]! ^ (index >> 8));
        const whole = buildTcp({ ...base, ...address, sequence, identification, flags: TcpFlag.ACK | (isPushed ? TcpFlag.PSH : 0), payload });
        const vnet = new DataView(new ArrayBuffer(VNET_HEADER_OCTETS));
        vnet.setUint8(1, address.family === 4 ? Vnet.GSO_TCPV4 : Vnet.GSO_TCPV6);
        vnet.setUint16(4, segmentOctets, true);
        const pieces = unmerged({ vnet, packet: whole });
        const again = written(pieces).flatMap(unmerged);
        expect(again.map((piece) => withoutIdentification(piece).toString("hex"))).toEqual(pieces.map((piece) => withoutIdentification(piece).toString("hex")));
        for (const piece of again) expect(naiveTransportChecksum(piece)).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  it.each([
    ["IPv4", v4, Vnet.GSO_TCPV4],
    ["IPv6", v6, Vnet.GSO_TCPV6],
  ] as const)("describes a run of %s in the vnet header and leaves the pseudo-header's sum in the checksum", (_name, address, type) => {
    const frames = written(run(10, 1_000, address));
    expect(frames).toHaveLength(1);
    const { vnet, packet } = frames[0]!;
    const tcpAt = headerOctets(packet);
    const fields = [vnet.getUint8(0), vnet.getUint8(1), ...[2, 4, 6, 8].map((at) => vnet.getUint16(at, true))];
    expect(fields).toEqual([Vnet.NEEDS_CSUM, type, tcpAt + 32, 1_000, tcpAt, 16]);
    expect(packet.length).toBe(tcpAt + 32 + 10_000);
    if (address.family === 4) expect(naiveChecksum(packet.subarray(0, 20))).toBe(0);
    // The kernel sums from csum_start on, field included, and complements: then all is right.
    const completed = packet.slice();
    new DataView(completed.buffer).setUint16(tcpAt + 16, naiveChecksum(packet.subarray(tcpAt)));
    expect(naiveTransportChecksum(completed)).toBe(0);
  });

  it("begins a new run after 64 segments, before 64 KB, after PSH and after a shorter segment", () => {
    expect(written(run(65, 10)).map((frame) => unmerged(frame).length)).toEqual([64, 1]);
    expect(written(run(50, 1_400)).every((frame) => frame.packet.length <= 65_535)).toBe(true);
    const [first, second, third] = run(3, 100) as [Uint8Array, Uint8Array, Uint8Array];
    const pushed = buildTcp({ ...v4, ...base, sequence: 0xffff_fff0, flags: TcpFlag.ACK | TcpFlag.PSH, payload: payload(100, 0) });
    expect(written([pushed, second, third]).map((frame) => unmerged(frame).length)).toEqual([1, 2]);
    const shorter = buildTcp({ ...v4, ...base, sequence: (0xffff_fff0 + 100) >>> 0, payload: payload(50, 1) });
    const behind = buildTcp({ ...v4, ...base, sequence: (0xffff_fff0 + 150) >>> 0, payload: payload(50, 2) });
    expect(written([first, shorter, behind]).map((frame) => unmerged(frame).length)).toEqual([2, 1]);
  });

  it("hands over runs of datagrams that, cut again, are what came in: every octet, checksum and, where it may be fragmented, identification", () => {
    const runs = fc.record({
      address: fc.constantFrom(v4, v6),
      octets: fc.integer({ min: 1, max: 1_400 }),
      count: fc.integer({ min: 1, max: 80 }),
      lastOctets: fc.integer({ min: 1, max: 1_400 }),
      identification: fc.nat(0xffff),
      mayFragment: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(runs, { minLength: 1, maxLength: 4 }), (specs) => {
        const packets = specs.flatMap(({ address, octets, count, lastOctets, identification, mayFragment }, which) =>
          Array.from({ length: count }, (_, index) => {
            const content = payload(index === count - 1 ? Math.min(lastOctets, octets) : octets, index);
            const packet = datagram({ ...address, sourcePort: which, identification: (identification + index) & 0xffff, payload: content });
            return mayFragment ? fragmentable(packet) : packet;
          }),
        );
        const frames = written(packets);
        // At most 64 and less than 64 KB of one flow in a frame, and what is shorter ends it: nothing else does.
        const atLeast = specs.reduce((sum, { octets, count }) => sum + Math.ceil(count / Math.min(64, Math.floor(65_000 / octets))), 0);
        expect(frames.length).toBeLessThanOrEqual(atLeast + specs.length);
        const out = frames.flatMap(unmerged);
        expect(out).toHaveLength(packets.length);
        for (const [index, packet] of packets.entries()) {
          const mayDiffer = (packet[6]! & 0x40) !== 0 ? withoutIdentification : (whole: Uint8Array) => Buffer.from(whole);
          expect(mayDiffer(out[index]!).equals(mayDiffer(packet))).toBe(true);
        }
        for (const packet of out) expect(naiveTransportChecksum(packet)).toBe(0);
      }),
      { numRuns: 25 },
    );
  });

  it.each([
    ["IPv4", v4],
    ["IPv6", v6],
  ] as const)("describes a run of datagrams over %s in the vnet header and leaves the pseudo-header's sum in the checksum", (_name, address) => {
    const frames = written(Array.from({ length: 10 }, (_, index) => datagram({ ...address, payload: payload(1_000, index) })));
    expect(frames).toHaveLength(1);
    const { vnet, packet } = frames[0]!;
    const udpAt = headerOctets(packet);
    const fields = [vnet.getUint8(0), vnet.getUint8(1), ...[2, 4, 6, 8].map((at) => vnet.getUint16(at, true))];
    expect(fields).toEqual([Vnet.NEEDS_CSUM, Vnet.GSO_UDP_L4, udpAt + 8, 1_000, udpAt, 6]);
    expect(packet.length).toBe(udpAt + 8 + 10_000);
    expect(new DataView(packet.buffer).getUint16(udpAt + 4)).toBe(10_008);
    if (address.family === 4) expect(naiveChecksum(packet.subarray(0, 20))).toBe(0);
    const completed = packet.slice();
    new DataView(completed.buffer).setUint16(udpAt + 6, naiveChecksum(packet.subarray(udpAt)));
    expect(naiveTransportChecksum(completed)).toBe(0);
  });

  it("writes each datagram by itself where the kernel takes no runs of them", () => {
    const packets = Array.from({ length: 5 }, (_, index) => datagram({ ...v4, payload: payload(100, index) }));
    const frames = written(packets, false);
    expect(frames.map(({ packet }) => Buffer.from(packet).toString("hex"))).toEqual(packets.map((packet) => Buffer.from(packet).toString("hex")));
    for (const { vnet } of frames) expect(new Uint8Array(vnet.buffer).every((octet) => octet === 0)).toBe(true);
  });

  const nextDatagram = { ...v4, identification: 1, payload: payload(100, 1) };
  const withoutChecksum = datagram(nextDatagram);
  withoutChecksum.fill(0, 26, 28);
  const damagedDatagram = datagram(nextDatagram);
  damagedDatagram[60] = damagedDatagram[60]! ^ 1;
  const shorterThanItsPacket = datagram(nextDatagram);
  shorterThanItsPacket[25] = 100;
  const nearerItsEnd = datagram(nextDatagram);
  nearerItsEnd[8] = 63;
  const otherClass = datagram(nextDatagram);
  otherClass[1] = 3;
  it.each<[string, Uint8Array]>([
    ["other ports", datagram({ ...nextDatagram, sourcePort: 9 })],
    ["another destination", datagram({ ...nextDatagram, destination: Uint8Array.of(10, 9, 0, 3) })],
    ["more data", datagram({ ...nextDatagram, payload: payload(101, 1) })],
    ["no data", datagram({ ...nextDatagram, payload: payload(0, 1) })],
    ["no checksum", withoutChecksum],
    ["a wrong checksum", damagedDatagram],
    ["a length that is not its packet's", shorterThanItsPacket],
    ["another TTL", nearerItsEnd],
    ["another traffic class", otherClass],
    ["a fragment that may come of it", fragmentable(datagram({ ...nextDatagram, identification: 1 }))],
    ["another family", datagram({ ...v6, payload: payload(100, 1) })],
  ])("leaves apart a datagram with %s, as it came", (_name, packet) => {
    const first = datagram({ ...v4, payload: payload(100, 0) });
    const frames = written([first, packet]);
    expect(frames.map((frame) => Buffer.from(frame.packet).toString("hex"))).toEqual([first, packet].map((one) => Buffer.from(one).toString("hex")));
    for (const { vnet } of frames) expect(new Uint8Array(vnet.buffer).every((octet) => octet === 0)).toBe(true);
  });

  it("leaves apart datagrams that may be fragmented and whose identifications do not follow each other", () => {
    const packets = [7, 9, 10].map((identification) => fragmentable(datagram({ ...v4, identification, payload: payload(100, identification) })));
    expect(written(packets).map((frame) => unmerged(frame).length)).toEqual([1, 2]);
  });

  it("leaves apart segments that may be fragmented and whose identifications do not follow each other", () => {
    const numbers = [0xfffe, 0xffff, 0, 7, 8];
    const packets = numbers.map((identification, index) => fragmentable(run(5, 100, { identification })[index]!));
    expect(written(packets).map(({ packet }) => packet.length)).toEqual([52 + 3 * 100, 52 + 2 * 100]);
    const out = written(packets).flatMap(unmerged);
    expect(out.map((packet) => (packet[4]! << 8) | packet[5]!)).toEqual(numbers);
  });

  const next: TcpPacket = { ...v4, ...base, sequence: (0xffff_fff0 + 100) >>> 0, payload: payload(100, 1), identification: 1 };
  const damaged = buildTcp(next);
  damaged[60] = damaged[60]! ^ 1;
  const otherTtl = buildTcp(next);
  otherTtl[8] = 63;
  const otherTos = buildTcp(next);
  otherTos[1] = 3;
  const mayFragment = buildTcp(next);
  mayFragment[6] = 0;
  const otherWindow = buildTcp({ ...next });
  otherWindow[34] = 1;
  it.each<[string, Uint8Array]>([
    ["another sequence number", buildTcp({ ...next, sequence: 5 })],
    ["other ports", buildTcp({ ...next, sourcePort: 40_001 })],
    ["another source", buildTcp({ ...next, source: Uint8Array.of(10, 0, 0, 3) })],
    ["a larger segment", buildTcp({ ...next, payload: payload(101, 1) })],
    ["no data", buildTcp({ ...next, payload: payload(0, 1) })],
    ["FIN", buildTcp({ ...next, flags: TcpFlag.ACK | TcpFlag.FIN })],
    ["RST", buildTcp({ ...next, flags: TcpFlag.RST })],
    ["SYN", buildTcp({ ...next, flags: TcpFlag.SYN | TcpFlag.ACK })],
    ["URG", buildTcp({ ...next, flags: TcpFlag.ACK | TcpFlag.URG })],
    ["ECE", buildTcp({ ...next, flags: TcpFlag.ACK | TcpFlag.ECE })],
    ["CWR", buildTcp({ ...next, flags: TcpFlag.ACK | TcpFlag.CWR })],
    ["other TCP options", buildTcp({ ...next, options: Uint8Array.of(1, 1, 8, 10, 1, 2, 3, 5, 5, 6, 7, 8) })],
    ["IP options", buildTcp({ ...next, ipOptions: Uint8Array.of(1, 1, 1, 0) })],
    ["a wrong checksum", damaged],
    ["another TTL", otherTtl],
    ["another ECN mark", otherTos],
    ["another don't-fragment bit", mayFragment],
    ["another window, with a checksum that is wrong for it", otherWindow],
    ["another family", buildTcp({ ...v6, ...base, payload: payload(100, 1) })],
  ])("leaves apart a segment with %s, as it came", (_name, packet) => {
    const [first] = run(1, 100) as [Uint8Array];
    const frames = written([first, packet]);
    expect(frames).toHaveLength(2);
    expect(Buffer.from(frames[0]!.packet).equals(first)).toBe(true);
    expect(Buffer.from(frames[1]!.packet).equals(packet)).toBe(true);
    for (const { vnet } of frames) expect(new Uint8Array(vnet.buffer).every((octet) => octet === 0)).toBe(true);
  });

  it("counts packets and octets when the device takes them, each under its SA, and as unsent when it does not", () => {
    const table = CounterTable.ofRows(4);
    const write = (fd: number) => {
      const writer = new TunWriter(arena, fd, table, true);
      let at = inputAt;
      // Five segments of one flow: three came under one SA, two under its successor.
      for (const [index, packet] of run(5, 100).entries()) {
        arena.bytes.set(packet, at);
        give(writer, at, packet, index < 3 ? 1 : 2);
        at += packet.length;
      }
      writer.flush();
      closeSync(fd);
    };
    write(openSync(join(directory, "taken"), "w"));
    expect(framesOf(new Uint8Array(readFileSync(join(directory, "taken")))).map((frame) => unmerged(frame).length)).toEqual([3, 2]);
    const octets = 20 + 32 + 100;
    expect([table.sa(1), table.sa(2)]).toMatchObject([
      { packets: 3, bytes: 3 * octets, drops: { unsent: 0 } },
      { packets: 2, bytes: 2 * octets, drops: { unsent: 0 } },
    ]);
    // Every write to this device fails.
    write(openSync("/dev/full", "w"));
    expect([table.sa(1), table.sa(2)]).toMatchObject([
      { packets: 3, bytes: 3 * octets, drops: { unsent: 3 } },
      { packets: 2, bytes: 2 * octets, drops: { unsent: 2 } },
    ]);
  });
});

function datagram(packet: Partial<TcpPacket> & Pick<TcpPacket, "family" | "source" | "destination" | "payload">): Uint8Array {
  return buildDatagram({ sourcePort: base.sourcePort, destinationPort: base.destinationPort, ...packet });
}

/** Without don't-fragment, where there is such a bit. */
function fragmentable(packet: Uint8Array): Uint8Array {
  if (packet[0]! >> 4 === 6) return packet;
  packet[6] = 0;
  packet.fill(0, 10, 12);
  new DataView(packet.buffer).setUint16(10, naiveChecksum(packet.subarray(0, 20)));
  return packet;
}

function withoutIdentification(packet: Uint8Array): Buffer {
  const copy = Buffer.from(packet);
  if (packet[0]! >> 4 === 4) copy.fill(0, 4, 6).fill(0, 10, 12);
  return copy;
}
