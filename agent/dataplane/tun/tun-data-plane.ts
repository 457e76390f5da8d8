import type { InboundSa, OutboundPolicy, OutboundSa, UdpEndpoint } from "../../ipsec/security-association.ts";
import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import { addNonEspMarker, natKeepalive } from "../../wire/udp-encap.ts";
import {
  addCounters,
  addDrops,
  type DataPlane,
  type DataPlaneCapabilities,
  type DataPlaneEvent,
  type DropCounters,
  type IkeDatagram,
  type SaCounters,
} from "../data-plane.ts";
import { libc } from "../ffi/native.ts";
import { noRawSockets, openRawSockets, rawFds, type RawSockets } from "../ffi/raw-socket.ts";
import { openIcmpErrorSocket } from "../ffi/icmp-error-socket.ts";
import { hasDevice, openTun, reopenTun, type Tun, tunFds } from "../ffi/tun-device.ts";
import { DatagramSender, openUdpSocket } from "../ffi/udp-socket.ts";
import { openWaker } from "../ffi/waiting.ts";
import { shareOfLimits, sharedSequence } from "./shared-sequence.ts";
import { type Direction, WorkerLane } from "./worker-lane.ts";

export interface TunDataPlaneOptions {
  readonly tunName: string;
  readonly mtu: number;
  readonly natPort: number;
  /** Why this plane was chosen, in a sentence. */
  readonly reason?: string;
  /** The largest outer packet the path takes; 1,500 unless told otherwise. */
  readonly pathMtu?: number;
  /** Threads that read the device and seal, each its own queue. Absent: one. */
  readonly outboundWorkers?: number;
  /** In place of the workers' own files. */
  readonly workerFiles?: Partial<Readonly<Record<Direction, URL>>>;
}

const USUAL_PATH_MTU = 1_500;
const WORKER_FILES: Readonly<Record<Direction, URL>> = {
  inbound: workerFile("inbound-worker"),
  outbound: workerFile("outbound-worker"),
};

/** Beside this file, or beside the bundle that this file has become part of, with the same extension. */
function workerFile(name: string): URL {
  return new URL(`./${name}${import.meta.url.endsWith(".ts") ? ".ts" : ".mjs"}`, import.meta.url);
}

/**
 * The userspace plane: a TUN device inside, a UDP socket outside, and a worker thread for each direction; outbound, when told so, several, which share
 * each SA's sequence numbers. This class is the main thread's side: it owns the descriptors, gives commands, and passes IKE on.
 */
export class TunDataPlane implements DataPlane {
  readonly capabilities: DataPlaneCapabilities;
  readonly #natPort: number;
  readonly #udpFds: readonly [number, number | null];
  readonly #fds: readonly number[];
  readonly #sender = new DatagramSender();
  readonly #inbound: WorkerLane;
  readonly #outbound: readonly WorkerLane[];
  readonly #options: TunDataPlaneOptions;
  readonly #tun: Tun;
  /** For a worker that takes another's place: which packets must not pass in the clear, and what paths take, does not go with an SA. */
  readonly #policies = new Map<string, OutboundPolicy>();
  readonly #pathMtus = new Map<string, number>();
  readonly #eventListeners: ((event: DataPlaneEvent) => void)[] = [];
  /** Raised before there was a listener. */
  readonly #unheard: DataPlaneEvent[] = [];
  readonly #ikeListeners: ((datagram: IkeDatagram) => void)[] = [];
  #closing = false;

  /** Resolves when both directions run. @throws Error with one sentence when the device, the port or a capability is missing. */
  static async create(options: TunDataPlaneOptions): Promise<TunDataPlane> {
    const udp4 = openUdpSocket(4, options.natPort);
    if (udp4 === null) throw new Error("the machine has no IPv4");
    const fds: number[] = [udp4];
    const opened = (fd: number): number => {
      fds.push(fd);
      return fd;
    };
    let plane: TunDataPlane;
    try {
      const udp6 = openUdpSocket(6, options.natPort);
      if (udp6 !== null) opened(udp6);
      const raw = openRawSockets();
      if (typeof raw !== "string") for (const fd of rawFds(raw)) opened(fd);
      const icmp = { 4: openIcmpErrorSocket(4), 6: openIcmpErrorSocket(6) };
      for (const fd of [icmp[4], icmp[6]]) if (fd !== null) opened(fd);
      const tun = openTun(options.tunName, options.mtu, options.outboundWorkers);
      for (const fd of tunFds(tun)) opened(fd);
      const wakeFds = { inbound: opened(openWaker()), outbound: tun.queues.map(() => opened(openWaker())) };
      plane = new TunDataPlane(options, { tun, udp: [udp4, udp6], raw, icmp, wakeFds, all: fds });
    } catch (error) {
      for (const fd of fds) libc.close(fd);
      throw error;
    }
    try {
      await Promise.all(plane.#all().map((lane) => lane.ready));
    } catch (error) {
      // One direction alone is of no use: the other is ended too, and only then are the descriptors that it uses closed.
      await plane.close();
      throw error;
    }
    return plane;
  }

  private constructor(options: TunDataPlaneOptions, descriptors: Descriptors) {
    this.#options = options;
    this.#tun = descriptors.tun;
    this.#natPort = options.natPort;
    this.#udpFds = descriptors.udp;
    this.#fds = descriptors.all;
    const files = { ...WORKER_FILES, ...options.workerFiles };
    const { raw } = descriptors;
    this.capabilities = { ...capabilitiesWith(raw, options.reason), outboundWorkers: descriptors.tun.queues.length };
    const common = {
      udpFds: descriptors.udp,
      icmpFds: descriptors.icmp,
      raw: typeof raw === "string" ? noRawSockets : raw,
      pathMtu: options.pathMtu ?? USUAL_PATH_MTU,
    };
    const lane = (direction: Direction, worker: number, tunFd: number, wakeFd: number): WorkerLane => {
      const made: WorkerLane = new WorkerLane(
        direction,
        files[direction],
        { ...common, tunFd, wakeFd, worker },
        {
          event: (event) => this.#emit(event),
          ike: (datagram) => this.#deliver(datagram),
          deviceLost: (reason) => this.#replaceDevice(reason),
          restarted: (reason) => void this.#afterRestart(direction, made, reason),
          failed: (reason) => this.#emit({ kind: "failed", reason }),
        },
      );
      return made;
    };
    this.#inbound = lane("inbound", 0, descriptors.tun.writer, descriptors.wakeFds.inbound);
    this.#outbound = descriptors.tun.queues.map((fd, worker) => lane("outbound", worker, fd, descriptors.wakeFds.outbound[worker]!));
  }

  onEvent(listener: (event: DataPlaneEvent) => void): void {
    this.#eventListeners.push(listener);
    for (const event of this.#unheard.splice(0)) listener(event);
  }

  onIkeDatagram(listener: (datagram: IkeDatagram) => void): void {
    this.#ikeListeners.push(listener);
  }

  sendIkeDatagram(datagram: IkeDatagram): void {
    this.#send(datagram.local, datagram.remote, addNonEspMarker(datagram.bytes));
  }

  sendNatKeepalive(local: UdpEndpoint, remote: UdpEndpoint): void {
    this.#send(local, remote, natKeepalive());
  }

  installSa(sa: InboundSa | OutboundSa): Promise<void> {
    const [first, ...others] = this.#lanes(sa.direction);
    return others.length === 0 || sa.direction === "inbound" ? first!.installSa(sa) : this.#installShared(sa);
  }

  async updateSa(direction: Direction, spi: EspSpi, remote: UdpEndpoint): Promise<void> {
    await Promise.all(this.#lanes(direction).map((lane) => lane.command({ kind: "updateSa", spi, remote })));
  }

  /** Of several workers what they have counted together. */
  querySa(direction: Direction, spi: EspSpi): SaCounters | null {
    const counted = this.#lanes(direction)
      .map((lane) => lane.query(spi))
      .filter((counters) => counters !== null);
    return counted.length === 0 ? null : counted.reduce(addCounters);
  }

  async deleteSa(direction: Direction, spi: EspSpi): Promise<void> {
    await Promise.all(this.#lanes(direction).map((lane) => lane.deleteSa(spi)));
  }

  async setPathMtu(remote: string, octets: number): Promise<void> {
    if (octets === (this.#options.pathMtu ?? USUAL_PATH_MTU)) this.#pathMtus.delete(remote);
    else this.#pathMtus.set(remote, octets);
    await Promise.all(this.#all().map((lane) => lane.command({ kind: "pathMtu", remote, octets })));
  }

  async installPolicy(policy: OutboundPolicy): Promise<void> {
    await Promise.all(this.#outbound.map((lane) => lane.command({ kind: "installPolicy", policy })));
    this.#policies.set(policy.id, policy);
  }

  async deletePolicy(id: string): Promise<void> {
    this.#policies.delete(id);
    await Promise.all(this.#outbound.map((lane) => lane.command({ kind: "deletePolicy", id })));
  }

  globalDrops(): DropCounters {
    return this.#all()
      .map((lane) => lane.globalDrops())
      .reduce(addDrops);
  }

  async flush(): Promise<void> {
    this.#policies.clear();
    await Promise.all(this.#all().map((lane) => lane.flush()));
  }

  /** Ends the workers, then closes the descriptors: the device goes with the last of them. */
  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    await Promise.all(this.#all().map((lane) => lane.stop()));
    for (const fd of this.#fds) libc.close(fd);
    this.#sender.close();
  }

  /**
   * The device was deleted. Another of the same name takes the place of its descriptor, so the workers and their SAs go on; only what the kernel
   * kept with the device, its routes above all, is for the listener to make again.
   */
  #replaceDevice(reason: string): void {
    // Each worker tells of the same loss.
    if (this.#closing || hasDevice(this.#tun.writer)) return;
    try {
      reopenTun(this.#tun, this.#options.tunName, this.#options.mtu);
    } catch (error) {
      return this.#emit({ kind: "failed", reason: `${reason}; ${error instanceof Error ? error.message : String(error)}` });
    }
    Promise.all(this.#outbound.map((lane) => lane.command({ kind: "deviceReplaced" }))).then(
      () => this.#emit({ kind: "deviceReplaced", reason }),
      // A worker that has failed meanwhile says so itself.
      () => undefined,
    );
  }

  /** Until there are new SAs the policies discard. */
  async #afterRestart(direction: Direction, lane: WorkerLane, reason: string): Promise<void> {
    const paths = [...this.#pathMtus].map(([remote, octets]) => lane.command({ kind: "pathMtu", remote, octets }));
    const policies = direction === "outbound" ? [...this.#policies.values()].map((policy) => hold(lane, policy)) : [];
    // The same here: who died again is heard of.
    await Promise.allSettled([...paths, ...policies]);
    this.#emit({ kind: "sasLost", direction, reason });
  }

  /** Every worker has it, whichever of them the policies have send under it: a flow may move from one to another at any time. */
  async #installShared(sa: OutboundSa): Promise<void> {
    const numbers = sharedSequence();
    const part = shareOfLimits(sa, this.#outbound.length);
    const outcomes = await Promise.allSettled(this.#outbound.map((lane) => lane.installSa(part, numbers)));
    const refused = outcomes.find((outcome) => outcome.status === "rejected");
    if (refused === undefined) return;
    const taken = this.#outbound.filter((_, index) => outcomes[index]?.status === "fulfilled");
    await Promise.allSettled(taken.map((lane) => lane.deleteSa(sa.spi)));
    throw refused.reason;
  }

  #lanes(direction: Direction): readonly WorkerLane[] {
    return direction === "inbound" ? [this.#inbound] : this.#outbound;
  }

  #all(): readonly WorkerLane[] {
    return [this.#inbound, ...this.#outbound];
  }

  #send(local: UdpEndpoint, remote: UdpEndpoint, datagram: Uint8Array): void {
    const fd = remote.address.includes(":") ? this.#udpFds[1] : this.#udpFds[0];
    if (fd !== null && !this.#closing) this.#sender.send(fd, local.address, remote, datagram);
  }

  #emit(event: DataPlaneEvent): void {
    if (this.#closing) return;
    if (this.#eventListeners.length === 0) this.#unheard.push(event);
    for (const listener of this.#eventListeners) listener(event);
  }

  #deliver(datagram: IkeDatagram): void {
    const local = { address: datagram.local.address, port: this.#natPort };
    for (const listener of this.#ikeListeners) listener({ ...datagram, local });
  }
}

/** Transport mode is missing for good: what two gateways say to each other is for their own addresses, and no route leads that into the device. */
function capabilitiesWith(raw: RawSockets | string, reason = "userspace ESP through a TUN device"): DataPlaneCapabilities {
  const common = { name: "tun", preferredEncapsulation: "udp", modes: ["tunnel"], extendedSequenceNumbers: true, steering: "device" } as const;
  if (typeof raw === "string") return { ...common, reason: `${reason}, only in UDP and without AH: ${raw}`, encapsulations: ["udp"], protocols: ["esp"] };
  return { ...common, reason, encapsulations: ["udp", "none"], protocols: raw.ah[0] === null ? ["esp"] : ["esp", "ah"] };
}

function hold(lane: WorkerLane, policy: OutboundPolicy): Promise<void> {
  return lane.command({ kind: "installPolicy", policy: { ...policy, action: { kind: "discard" } } });
}

interface Descriptors {
  readonly tun: Tun;
  readonly udp: readonly [number, number | null];
  /** A sentence: why there are none. */
  readonly raw: RawSockets | string;
  readonly icmp: Readonly<Record<4 | 6, number | null>>;
  readonly wakeFds: { readonly inbound: number; readonly outbound: readonly number[] };
  /** Each of them, to be closed once. */
  readonly all: readonly number[];
}
