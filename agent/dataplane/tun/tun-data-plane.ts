import { Worker } from "node:worker_threads";
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
import { openTun } from "../ffi/tun-device.ts";
import { DatagramSender, openUdpSocket } from "../ffi/udp-socket.ts";
import { openWaker, Wakers } from "../ffi/waiting.ts";
import { CounterTable, GLOBAL_ROW, RowAllocator } from "./counters.ts";
import type { CommandBatch, FromWorker, WorkerCommand, WorkerOptions } from "./worker-protocol.ts";

export interface TunDataPlaneOptions {
  readonly tunName: string;
  readonly mtu: number;
  readonly natPort: number;
  /** The largest outer packet the path takes; 1,500 unless told otherwise. */
  readonly pathMtu?: number;
  /** In place of the workers' own files. */
  readonly workerFiles?: Partial<Readonly<Record<Direction, URL>>>;
}

type Direction = "inbound" | "outbound";

/** SAs of a direction at once: rows of counters in shared memory. */
const MAX_SAS = 32_768;
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
  readonly capabilities: DataPlaneCapabilities = {
    name: "tun",
    reason: "userspace ESP through a TUN device",
    encapsulations: ["udp"],
    protocols: ["esp"],
    modes: ["tunnel"],
    extendedSequenceNumbers: true,
  };
  readonly #natPort: number;
  readonly #udpFds: readonly [number, number | null];
  readonly #fds: readonly number[];
  readonly #sender = new DatagramSender();
  readonly #wakers = new Wakers();
  readonly #lanes: Readonly<Record<Direction, Lane>>;
  readonly #eventListeners: ((event: DataPlaneEvent) => void)[] = [];
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
      const tun = opened(openTun(options.tunName, options.mtu));
      const wakeFds = { inbound: opened(openWaker()), outbound: opened(openWaker()) };
      plane = new TunDataPlane(options, { tun, udp: [udp4, udp6], wakeFds, all: fds });
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
    this.#natPort = options.natPort;
    this.#udpFds = descriptors.udp;
    this.#fds = descriptors.all;
    const files = { ...WORKER_FILES, ...options.workerFiles };
    const common = { tunFd: descriptors.tun, udpFds: descriptors.udp, pathMtu: options.pathMtu ?? 1_500 };
    const lane = (direction: Direction) =>
      new Lane(direction, files[direction], { ...common, wakeFd: descriptors.wakeFds[direction] }, this.#wakers, {
        event: (event) => this.#emit(event),
        ike: (datagram) => this.#deliver(datagram),
        failed: (reason) => {
          if (!this.#closing) this.#emit({ kind: "failed", reason });
        },
      });
    this.#lanes = { inbound: lane("inbound"), outbound: lane("outbound") };
  }

  onEvent(listener: (event: DataPlaneEvent) => void): void {
    this.#eventListeners.push(listener);
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

  installPolicy(policy: OutboundPolicy): Promise<void> {
    return this.#lanes.outbound.command({ kind: "installPolicy", policy });
  }

  deletePolicy(id: string): Promise<void> {
    return this.#lanes.outbound.command({ kind: "deletePolicy", id });
  }

  globalDrops(): DropCounters {
    return addDrops(this.#lanes.inbound.globalDrops(), this.#lanes.outbound.globalDrops());
  }

  async flush(): Promise<void> {
    await Promise.all([this.#lanes.inbound.flush(), this.#lanes.outbound.flush()]);
  }

  /** Ends both workers, then closes the descriptors: the device goes with the last of them. */
  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    await Promise.all([this.#lanes.inbound.stop(), this.#lanes.outbound.stop()]);
    for (const fd of this.#fds) libc.close(fd);
  }

  #send(local: UdpEndpoint, remote: UdpEndpoint, datagram: Uint8Array): void {
    const fd = remote.address.includes(":") ? this.#udpFds[1] : this.#udpFds[0];
    if (fd !== null && !this.#closing) this.#sender.send(fd, local.address, remote, datagram);
  }

  #emit(event: DataPlaneEvent): void {
    for (const listener of this.#eventListeners) listener(event);
  }

  #deliver(datagram: IkeDatagram): void {
    const local = { address: datagram.local.address, port: this.#natPort };
    for (const listener of this.#ikeListeners) listener({ ...datagram, local });
  }
}

interface Descriptors {
  readonly tun: number;
  readonly udp: readonly [number, number | null];
  readonly wakeFds: Readonly<Record<Direction, number>>;
  /** Each of them, to be closed once. */
  readonly all: readonly number[];
}

interface LaneListener {
  readonly event: (event: DataPlaneEvent) => void;
  readonly ike: (datagram: IkeDatagram) => void;
  readonly failed: (reason: string) => void;
}

interface WaitingCommand {
  readonly command: WorkerCommand;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** One direction: its worker, its counters and the commands under way. */
class Lane {
  readonly ready: Promise<void>;
  readonly #worker: Worker;
  readonly #wakeFd: number;
  readonly #exited: Promise<void>;
  readonly #wakers: Wakers;
  readonly #counters = CounterTable.ofRows(MAX_SAS);
  readonly #rows = new RowAllocator(MAX_SAS);
  readonly #rowOf = new Map<EspSpi, number>();
  /** Commands under way, in the batches that they were sent in. */
  readonly #pending = new Map<number, readonly WaitingCommand[]>();
  /** What has been asked for since the main thread last waited: it goes as one message, and wakes the worker once. */
  #unsent: WaitingCommand[] = [];
  #nextTicket = 1;
  #ended = false;

  constructor(direction: Direction, file: URL, options: Omit<WorkerOptions, "counters">, wakers: Wakers, listener: LaneListener) {
    this.#wakers = wakers;
    this.#wakeFd = options.wakeFd;
    const workerData: WorkerOptions = { ...options, counters: this.#counters.shared };
    this.#worker = new Worker(file, { workerData, name: direction });
    this.#exited = new Promise<void>((resolve) => this.#worker.once("exit", () => resolve()));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.ready = promise;
    this.#worker.on("message", (message: FromWorker) => {
      if (message.kind === "ready") resolve();
      else if (message.kind === "done") this.#settle(message.ticket, message.outcomes);
      else if (message.kind === "event") listener.event(message.event);
      else listener.ike(message.datagram);
    });
    const fail = (reason: string) => {
      if (this.#ended) return;
      this.#ended = true;
      reject(new Error(reason));
      for (const { reject: refuse } of [...[...this.#pending.values()].flat(), ...this.#unsent]) refuse(new Error(reason));
      this.#pending.clear();
      this.#unsent = [];
      listener.failed(reason);
    };
    this.#worker.on("error", (error) => fail(`the ${direction} worker failed: ${error instanceof Error ? error.message : String(error)}`));
    this.#worker.on("exit", (code) => fail(`the ${direction} worker ended with code ${code}`));
  }

  async installSa(sa: InboundSa | OutboundSa): Promise<void> {
    if (this.#rowOf.has(sa.spi)) throw new Error(`an ${sa.direction} SA with the SPI ${sa.spi.toString(16)} is installed already`);
    const row = this.#rows.take();
    this.#counters.clear(row);
    this.#rowOf.set(sa.spi, row);
    try {
      await this.command(sa.direction === "inbound" ? { kind: "installInbound", sa, row } : { kind: "installOutbound", sa, row });
    } catch (error) {
      this.#release(sa.spi);
      throw error;
    }
  }

  async deleteSa(spi: EspSpi): Promise<void> {
    await this.command({ kind: "deleteSa", spi });
    this.#release(spi);
  }

  async flush(): Promise<void> {
    await this.command({ kind: "flush" });
    for (const spi of [...this.#rowOf.keys()]) this.#release(spi);
  }

  query(spi: EspSpi): SaCounters | null {
    const row = this.#rowOf.get(spi);
    return row === undefined ? null : this.#counters.sa(row);
  }

  globalDrops(): DropCounters {
    return this.#counters.drops(GLOBAL_ROW);
  }

  command(command: WorkerCommand): Promise<void> {
    if (this.#ended) return Promise.reject(new Error("the data plane is not running"));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    if (this.#unsent.length === 0) queueMicrotask(() => this.#sendBatch());
    this.#unsent.push({ command, resolve, reject });
    return promise;
  }

  #sendBatch(): void {
    const waiting = this.#unsent;
    this.#unsent = [];
    // The worker has failed in between: they have been refused.
    if (waiting.length === 0) return;
    const ticket = this.#nextTicket++;
    this.#pending.set(ticket, waiting);
    const message: CommandBatch = { ticket, commands: waiting.map(({ command }) => command) };
    this.#worker.postMessage(message);
    this.#wakers.wake(this.#wakeFd);
  }

  /** Resolves when the worker's thread is no more, whether it obeyed or had failed before. */
  async stop(): Promise<void> {
    if (!this.#ended) {
      // A worker that fails instead of obeying has said so to the listener; it ends all the same.
      await Promise.allSettled([this.command({ kind: "stop" })]);
      this.#ended = true;
    }
    await this.#exited;
  }

  #settle(ticket: number, outcomes: readonly (string | null)[]): void {
    const waiting = this.#pending.get(ticket) ?? [];
    this.#pending.delete(ticket);
    for (const [index, { resolve, reject }] of waiting.entries()) {
      const error = outcomes[index] ?? null;
      if (error === null) resolve();
      else reject(new Error(error));
    }
  }

  #release(spi: EspSpi): void {
    const row = this.#rowOf.get(spi);
    if (row === undefined) return;
    this.#rowOf.delete(spi);
    this.#rows.give(row);
  }
}
