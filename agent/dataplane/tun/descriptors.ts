import { openIcmpErrorSocket } from "../ffi/icmp-error-socket.ts";
import { libc } from "../ffi/native.ts";
import { noRawSockets, openRawSockets, rawFds, type RawSockets } from "../ffi/raw-socket.ts";
import { openSocketPair } from "../ffi/socket-pair.ts";
import { openTun, type Tun, tunFds } from "../ffi/tun-device.ts";
import { believeRouters, openUdpSockets } from "../ffi/udp-socket.ts";
import { openWaker } from "../ffi/waiting.ts";
import type { HandOverSockets } from "./hand-over.ts";

export type UdpPair = readonly [number, number | null];

/** Everything that the plane holds open: the main thread makes it, the workers use it, and who dies leaves it for its successor. */
export interface Descriptors {
  readonly tun: Tun;
  /** Of each inbound worker. The first's are also what is sent by. */
  readonly inbound: readonly InboundDescriptors[];
  /** A sentence: why there is neither plain ESP nor AH. */
  readonly withoutRaw: string | null;
  /** Where routers say that a packet was too large. */
  readonly icmp: Readonly<Record<4 | 6, number | null>>;
  readonly wakeFds: { readonly inbound: readonly number[]; readonly outbound: readonly number[] };
  /** Each of them, to be closed once. */
  readonly all: readonly number[];
}

export interface InboundDescriptors {
  readonly udp: UdpPair;
  readonly raw: RawSockets;
  readonly handOver: HandOverSockets | null;
}

export interface DescriptorOptions {
  readonly tunName: string;
  readonly mtu: number;
  readonly natPort: number;
  readonly inboundWorkers?: number;
  readonly outboundWorkers?: number;
}

/** @throws Error with one sentence when something is missing or taken; then nothing is left open. */
export function openDescriptors(options: DescriptorOptions): Descriptors {
  const { inboundWorkers = 1, outboundWorkers = 1 } = options;
  const all: number[] = [];
  const opened = (...fds: readonly number[]): readonly number[] => {
    all.push(...fds);
    return fds;
  };
  try {
    const udp = udpPairs(options.natPort, inboundWorkers, opened);
    const raw = openAllRaw(inboundWorkers, opened);
    // Probes of the path and outer fragments of ours need raw sockets too (ADR 10).
    if (typeof raw === "string") for (const [, udp6] of udp) if (udp6 !== null) believeRouters(udp6);
    const icmp = { 4: openIcmpErrorSocket(4), 6: openIcmpErrorSocket(6) };
    for (const fd of [icmp[4], icmp[6]]) if (fd !== null) opened(fd);
    const tun = openTun(options.tunName, options.mtu, outboundWorkers, inboundWorkers);
    opened(...tunFds(tun));
    const handOvers = openHandOvers(inboundWorkers, opened);
    const wakers = (count: number): number[] => Array.from({ length: count }, () => opened(openWaker())[0]!);
    return {
      tun,
      inbound: udp.map((pair, worker) => ({ udp: pair, raw: typeof raw === "string" ? noRawSockets : raw[worker]!, handOver: handOvers[worker] ?? null })),
      withoutRaw: typeof raw === "string" ? raw : null,
      icmp,
      wakeFds: { inbound: wakers(inboundWorkers), outbound: wakers(outboundWorkers) },
      all,
    };
  } catch (error) {
    for (const fd of all) libc.close(fd);
    throw error;
  }
}

type Opened = (...fds: readonly number[]) => readonly number[];

function udpPairs(port: number, workers: number, opened: Opened): UdpPair[] {
  const udp4 = openUdpSockets(4, port, workers);
  if (udp4 === null) throw new Error("the machine has no IPv4");
  opened(...udp4);
  const udp6 = openUdpSockets(6, port, workers);
  opened(...(udp6 ?? []));
  return udp4.map((fd, worker) => [fd, udp6?.[worker] ?? null]);
}

/** Of each worker; a sentence when there can be none. */
function openAllRaw(workers: number, opened: Opened): RawSockets[] | string {
  const all: RawSockets[] = [];
  for (let worker = 0; worker < workers; worker++) {
    const raw = openRawSockets(worker, workers);
    if (typeof raw === "string") return raw;
    opened(...rawFds(raw));
    all.push(raw);
  }
  return all;
}

/** None where there is nobody to hand over to. */
function openHandOvers(workers: number, opened: Opened): HandOverSockets[] {
  if (workers === 1) return [];
  const pairs = Array.from({ length: workers }, () => {
    const pair = openSocketPair();
    opened(pair.from, pair.into);
    return pair;
  });
  return pairs.map(({ from }) => ({ own: from, toEach: pairs.map(({ into }) => into) }));
}
