import type { InboundSa, OutboundPolicy, OutboundSa, UdpEndpoint } from "../../ipsec/security-association.ts";
import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import { addNonEspMarker, natKeepalive } from "../../wire/udp-encap.ts";
import {
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
import { openTun, reopenTun } from "../ffi/tun-device.ts";
import { DatagramSender, openUdpSocket } from "../ffi/udp-socket.ts";
import { openWaker } from "../ffi/waiting.ts";
import { type Direction, WorkerLane } from "./worker-lane.ts";

export interface TunDataPlaneOptions {
  readonly tunName: string;
  readonly mtu: number;
  readonly natPort: number;
  /** Why this plane was chosen, in a sentence. */
  readonly reason?: string;
  /** The largest outer packet the path takes; 1,500 unless told otherwise. */
  readonly pathMtu?: number;
  /** In place of the workers' own files. */
  readonly workerFiles?: Partial<Readonly<Record<Direction, URL>>>;
}

const USUAL_PATH_MTU = 1_500;
const DIRECTIONS = ["inbound", "outbound"] as const;
const WORKER_FILES: Readonly<Record<Direction, URL>> = {
  inbound: workerFile("inbound-worker"),
  outbound: workerFile("outbound-worker"),
};

/** Beside this file, or beside the bundle that this file has become part of, with the same extension. */
function workerFile(name: string): URL {
  return new URL(`./${name}${import.meta.url.endsWith(".ts") ? ".ts" : ".mjs"}`, import.meta.url);
}

/**
 * The userspace plane: a TUN device inside, a UDP socket outside, and a worker thread for each direction. This class is the main
 * thread's side: it owns the descriptors, gives commands, and passes IKE on.
 */
export class TunDataPlane implements DataPlane {
  readonly capabilities: DataPlaneCapabilities;
  readonly #natPort: number;
  readonly #udpFds: readonly [number, number | null];
  readonly #fds: readonly number[];
  readonly #sender = new DatagramSender();
  readonly #lanes: Readonly<Record<Direction, WorkerLane>>;
  readonly #options: TunDataPlaneOptions;
  readonly #tunFd: number;
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
      const tun = opened(openTun(options.tunName, options.mtu));
      const wakeFds = { inbound: opened(openWaker()), outbound: opened(openWaker()) };
      plane = new TunDataPlane(options, { tun, udp: [udp4, udp6], raw, icmp, wakeFds, all: fds });
    } catch (error) {
      for (const fd of fds) libc.close(fd);
      throw error;
    }
    try {
      await Promise.all([plane.#lanes.inbound.ready, plane.#lanes.outbound.ready]);
    } catch (error) {
      // One direction alone is of no use: the other is ended too, and only then are the descriptors that it uses closed.
      await plane.close();
      throw error;
    }
    return plane;
  }

  private constructor(options: TunDataPlaneOptions, descriptors: Descriptors) {
    this.#options = options;
    this.#tunFd = descriptors.tun;
    this.#natPort = options.natPort;
    this.#udpFds = descriptors.udp;
    this.#fds = descriptors.all;
    const files = { ...WORKER_FILES, ...options.workerFiles };
    const { raw } = descriptors;
    this.capabilities = capabilitiesWith(raw, options.reason);
    const common = {
      tunFd: descriptors.tun,
      udpFds: descriptors.udp,
      icmpFds: descriptors.icmp,
      raw: typeof raw === "string" ? noRawSockets : raw,
      pathMtu: options.pathMtu ?? USUAL_PATH_MTU,
    };
    const lane = (direction: Direction) =>
      new WorkerLane(
        direction,
        files[direction],
        { ...common, wakeFd: descriptors.wakeFds[direction] },
        {
          event: (event) => this.#emit(event),
          ike: (datagram) => this.#deliver(datagram),
          deviceLost: (reason) => this.#replaceDevice(reason),
          restarted: (reason) => void this.#afterRestart(direction, reason),
          failed: (reason) => this.#emit({ kind: "failed", reason }),
        },
      );
    this.#lanes = { inbound: lane("inbound"), outbound: lane("outbound") };
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
    return this.#lanes[sa.direction].installSa(sa);
  }

  updateSa(direction: Direction, spi: EspSpi, remote: UdpEndpoint): Promise<void> {
    return this.#lanes[direction].command({ kind: "updateSa", spi, remote });
  }

  querySa(direction: Direction, spi: EspSpi): SaCounters | null {
    return this.#lanes[direction].query(spi);
  }

  deleteSa(direction: Direction, spi: EspSpi): Promise<void> {
    return this.#lanes[direction].deleteSa(spi);
  }

  async setPathMtu(remote: string, octets: number): Promise<void> {
    if (octets === (this.#options.pathMtu ?? USUAL_PATH_MTU)) this.#pathMtus.delete(remote);
    else this.#pathMtus.set(remote, octets);
    await Promise.all(DIRECTIONS.map((direction) => this.#lanes[direction].command({ kind: "pathMtu", remote, octets })));
  }

  async installPolicy(policy: OutboundPolicy): Promise<void> {
    await this.#lanes.outbound.command({ kind: "installPolicy", policy });
    this.#policies.set(policy.id, policy);
  }

  async deletePolicy(id: string): Promise<void> {
    this.#policies.delete(id);
    await this.#lanes.outbound.command({ kind: "deletePolicy", id });
  }

  globalDrops(): DropCounters {
    return addDrops(this.#lanes.inbound.globalDrops(), this.#lanes.outbound.globalDrops());
  }

  async flush(): Promise<void> {
    this.#policies.clear();
    await Promise.all([this.#lanes.inbound.flush(), this.#lanes.outbound.flush()]);
  }

  /** Ends both workers, then closes the descriptors: the device goes with the last of them. */
  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    await Promise.all([this.#lanes.inbound.stop(), this.#lanes.outbound.stop()]);
    for (const fd of this.#fds) libc.close(fd);
    this.#sender.close();
  }

  /**
   * The device was deleted. Another of the same name takes the place of its descriptor, so the workers and their SAs go on; only what the kernel
   * kept with the device, its routes above all, is for the listener to make again.
   */
  #replaceDevice(reason: string): void {
    if (this.#closing) return;
    try {
      reopenTun(this.#tunFd, this.#options.tunName, this.#options.mtu);
    } catch (error) {
      return this.#emit({ kind: "failed", reason: `${reason}; ${error instanceof Error ? error.message : String(error)}` });
    }
    this.#lanes.outbound.command({ kind: "deviceReplaced" }).then(
      () => this.#emit({ kind: "deviceReplaced", reason }),
      // A worker that has failed meanwhile says so itself.
      () => undefined,
    );
  }

  /** Until there are new SAs the policies discard. */
  async #afterRestart(direction: Direction, reason: string): Promise<void> {
    const paths = [...this.#pathMtus].map(([remote, octets]) => this.#lanes[direction].command({ kind: "pathMtu", remote, octets }));
    const policies = direction === "outbound" ? [...this.#policies.values()].map((policy) => this.#hold(policy)) : [];
    // The same here: who died again is heard of.
    await Promise.allSettled([...paths, ...policies]);
    this.#emit({ kind: "sasLost", direction, reason });
  }

  #hold(policy: OutboundPolicy): Promise<void> {
    return this.#lanes.outbound.command({ kind: "installPolicy", policy: { ...policy, action: { kind: "discard" } } });
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

interface Descriptors {
  readonly tun: number;
  readonly udp: readonly [number, number | null];
  /** A sentence: why there are none. */
  readonly raw: RawSockets | string;
  readonly icmp: Readonly<Record<4 | 6, number | null>>;
  readonly wakeFds: Readonly<Record<Direction, number>>;
  /** Each of them, to be closed once. */
  readonly all: readonly number[];
}
