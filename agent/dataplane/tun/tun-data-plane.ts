import { type InboundSa, type OutboundPolicy, type OutboundSa, spisOf, type UdpEndpoint } from "../../ipsec/security-association.ts";
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
import type { RawSockets } from "../ffi/raw-socket.ts";
import { hasDevice, reopenTun, type Tun } from "../ffi/tun-device.ts";
import { DatagramSender } from "../ffi/udp-socket.ts";
import { inboundWorkerOf } from "../../ipsec/inbound-share.ts";
import { type Descriptors, openDescriptors, type UdpPair } from "./descriptors.ts";
import { shareOfLimits, sharedSequence } from "./shared-sequence.ts";
import { type Direction, type LaneOptions, WorkerLane } from "./worker-lane.ts";

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
  /** Threads that open what comes in, each the SAs that their SPIs give it (agent/ipsec/inbound-share.ts). Absent: one. */
  readonly inboundWorkers?: number;
  /** In place of the workers' own files. */
  readonly workerFiles?: Partial<Readonly<Record<Direction, URL>>>;
}

const USUAL_PATH_MTU = 1_500;
const NO_ICMP = { 4: null, 6: null } as const;
const WORKER_FILES: Readonly<Record<Direction, URL>> = {
  inbound: workerFile("inbound-worker"),
  outbound: workerFile("outbound-worker"),
};

/** Beside this file, or beside the bundle that this file has become part of, with the same extension. */
function workerFile(name: string): URL {
  return new URL(`./${name}${import.meta.url.endsWith(".ts") ? ".ts" : ".mjs"}`, import.meta.url);
}

/**
 * The userspace plane: a TUN device inside, a UDP socket outside, and a worker thread for each direction; when told so several: outbound ones share
 * each SA's sequence numbers, of the inbound ones each has SAs of its own. This class is the main thread's side: it owns the descriptors, gives
 * commands, and passes IKE on.
 */
export class TunDataPlane implements DataPlane {
  readonly capabilities: DataPlaneCapabilities;
  readonly #natPort: number;
  readonly #udpFds: UdpPair;
  readonly #fds: readonly number[];
  readonly #sender = new DatagramSender();
  readonly #inbound: readonly WorkerLane[];
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
    const plane = new TunDataPlane(options, openDescriptors(options));
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
    this.#fds = descriptors.all;
    const files = { ...WORKER_FILES, ...options.workerFiles };
    const { inbound, tun, icmp, wakeFds } = descriptors;
    const [first] = inbound;
    if (first === undefined) throw new Error("there is no inbound worker");
    this.#udpFds = first.udp;
    this.capabilities = {
      ...capabilitiesWith(first.raw, descriptors.withoutRaw, options.reason),
      outboundWorkers: tun.queues.length,
      inboundWorkers: inbound.length,
    };
    const pathMtu = options.pathMtu ?? USUAL_PATH_MTU;
    const lane = (direction: Direction, own: Omit<LaneOptions, "pathMtu" | "mergesDatagrams">): WorkerLane => {
      return new WorkerLane(
        direction,
        files[direction],
        { ...own, pathMtu, mergesDatagrams: tun.takesDatagrams },
        {
          event: (event) => this.#emit(event),
          ike: (datagram) => this.#deliver(datagram),
          deviceLost: (reason) => this.#replaceDevice(reason),
          replaced: (by) => this.#prepare(direction, by),
          restarted: (reason) => this.#emit({ kind: "sasLost", direction, reason }),
          failed: (reason) => this.#emit({ kind: "failed", reason }),
        },
      );
    };
    this.#inbound = inbound.map(({ udp: udpFds, raw, handOver }, worker) => {
      // Word of a path is for all SAs: one of them takes it.
      const icmpFds = worker === 0 ? icmp : NO_ICMP;
      return lane("inbound", { udpFds, raw, icmpFds, handOver, tunFd: tun.writers[worker]!, wakeFd: wakeFds.inbound[worker]!, worker });
    });
    this.#outbound = tun.queues.map((tunFd, worker) =>
      lane("outbound", { udpFds: first.udp, raw: first.raw, icmpFds: NO_ICMP, handOver: null, tunFd, wakeFd: wakeFds.outbound[worker]!, worker }),
    );
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
    const [first, ...others] = this.#lanes(sa.direction, sa.spi);
    return sa.direction === "inbound" || others.length === 0 ? first!.installSa(sa) : this.#installShared(sa);
  }

  async updateSa(direction: Direction, spi: EspSpi, remote: UdpEndpoint): Promise<void> {
    await Promise.all(this.#lanes(direction, spi).map((lane) => lane.command({ kind: "updateSa", spi, remote })));
  }

  /** Of several workers what they have counted together. */
  querySa(direction: Direction, spi: EspSpi): SaCounters | null {
    const counted = this.#lanes(direction, spi)
      .map((lane) => lane.query(spi))
      .filter((counters) => counters !== null);
    return counted.length === 0 ? null : counted.reduce(addCounters);
  }

  async deleteSa(direction: Direction, spi: EspSpi): Promise<void> {
    await Promise.all(this.#lanes(direction, spi).map((lane) => lane.deleteSa(spi)));
  }

  async setPathMtu(remote: string, octets: number): Promise<void> {
    if (octets === (this.#options.pathMtu ?? USUAL_PATH_MTU)) this.#pathMtus.delete(remote);
    else this.#pathMtus.set(remote, octets);
    await Promise.all(this.#all().map((lane) => lane.command({ kind: "pathMtu", remote, octets })));
  }

  /** A worker that took a dead one's place need not have every SA that the policy names, but some worker must. */
  async installPolicy(policy: OutboundPolicy): Promise<void> {
    if (spisOf(policy).some((spi) => this.querySa("outbound", spi) === null)) throw new Error(`the policy ${policy.id} names an SA that is not installed`);
    this.#policies.set(policy.id, policy);
    await Promise.all(this.#outbound.map((lane) => lane.command({ kind: "installPolicy", policy })));
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
    if (this.#closing || hasDevice(this.#tun.writers[0]!)) return;
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

  /** What a worker in another's place is told before all else: until there are new SAs the policies discard. */
  #prepare(direction: Direction, lane: WorkerLane): void {
    const paths = [...this.#pathMtus].map(([remote, octets]) => lane.command({ kind: "pathMtu", remote, octets }));
    const policies = direction === "outbound" ? [...this.#policies.values()].map((policy) => hold(lane, policy)) : [];
    // One that dies before it obeys is heard of.
    void Promise.allSettled([...paths, ...policies]);
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

  /** Those that have an SA. */
  #lanes(direction: Direction, spi: EspSpi): readonly WorkerLane[] {
    return direction === "inbound" ? [this.#inbound[inboundWorkerOf(spi, this.#inbound.length)]!] : this.#outbound;
  }

  #all(): readonly WorkerLane[] {
    return [...this.#inbound, ...this.#outbound];
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
function capabilitiesWith(raw: RawSockets, withoutRaw: string | null, reason = "userspace ESP through a TUN device"): DataPlaneCapabilities {
  const common = { name: "tun", preferredEncapsulation: "udp", modes: ["tunnel"], extendedSequenceNumbers: true, steering: "device" } as const;
  if (withoutRaw !== null) return { ...common, reason: `${reason}, only in UDP and without AH: ${withoutRaw}`, encapsulations: ["udp"], protocols: ["esp"] };
  return { ...common, reason, encapsulations: ["udp", "none"], protocols: raw.ah[0] === null ? ["esp"] : ["esp", "ah"] };
}

function hold(lane: WorkerLane, policy: OutboundPolicy): Promise<void> {
  return lane.command({ kind: "installPolicy", policy: { ...policy, action: { kind: "discard" } } });
}
