import type { Worker } from "node:worker_threads";
import type { InboundSa, OutboundSa } from "../../ipsec/security-association.ts";
import type { EspSpi } from "../../wire/ikev2/message-types.ts";
import type { DataPlaneEvent, DropCounters, IkeDatagram, SaCounters } from "../data-plane.ts";
import { wake } from "../ffi/waiting.ts";
import { RestartAllowance } from "../restart-allowance.ts";
import { startWatchedWorker, type WatchedWorker } from "../watched-worker.ts";
import { CounterTable, GLOBAL_ROW, RowAllocator } from "./counters.ts";
import { MessageRoom } from "./message-room.ts";
import { type CommandBatch, type FromWorker, MAX_SAS, type WorkerCommand, type WorkerOptions } from "./worker-protocol.ts";

export type Direction = "inbound" | "outbound";

export type LaneOptions = Omit<WorkerOptions, "counters" | "heartbeat" | "ikeRoom" | "isReplacement">;

export interface LaneListener {
  readonly event: (event: DataPlaneEvent) => void;
  readonly ike: (datagram: IkeDatagram) => void;
  /** The TUN device is gone; the worker goes on without one until it is told of another. */
  readonly deviceLost: (reason: string) => void;
  /** The worker died and another is on its way, without any of its SAs: what it is told now comes before all else. */
  readonly replaced: (by: WorkerLane) => void;
  /** It runs. */
  readonly restarted: (reason: string) => void;
  /** The direction is no more. */
  readonly failed: (reason: string) => void;
}

interface WaitingCommand {
  readonly command: WorkerCommand;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * One direction: its worker, its counters and the commands under way. A worker that dies takes its SAs with it, since nobody knows up to which
 * sequence number it has sent or received; the descriptors stay open, so what waits in them waits for the next worker. One that hangs is
 * ended and counts as dead.
 */
export class WorkerLane {
  /** Resolves when the first worker runs. */
  readonly ready: Promise<void>;
  /** Its direction, from the second on with a number. */
  readonly #name: string;
  readonly #file: URL;
  readonly #workerData: Omit<WorkerOptions, "heartbeat" | "ikeRoom" | "isReplacement">;
  readonly #listener: LaneListener;
  readonly #counters = CounterTable.ofRows(MAX_SAS);
  #rows = new RowAllocator(MAX_SAS);
  readonly #rowOf = new Map<EspSpi, number>();
  /** Commands under way, in the batches that they were sent in. */
  readonly #pending = new Map<number, readonly WaitingCommand[]>();
  /** What has been asked for since the main thread last waited: it goes as one message, and wakes the worker once. */
  #unsent: WaitingCommand[] = [];
  readonly #restarts = new RestartAllowance();
  #nextTicket = 1;
  #worker: Worker;
  #exited: Promise<void>;
  #isStopping = false;
  #ended = false;

  constructor(direction: Direction, file: URL, options: LaneOptions, listener: LaneListener) {
    this.#name = options.worker === 0 ? direction : `${direction}-${options.worker + 1}`;
    this.#file = file;
    this.#workerData = { ...options, counters: this.#counters.shared };
    this.#listener = listener;
    const first = this.#startWorker(false);
    this.#worker = first.worker;
    this.#exited = first.exited;
    this.ready = first.ready;
  }

  /** `numbers`: of an SA that other lanes have too. */
  async installSa(sa: InboundSa | OutboundSa, numbers: SharedArrayBuffer | null = null): Promise<void> {
    if (this.#rowOf.has(sa.spi)) throw new Error(`an ${sa.direction} SA with the SPI ${sa.spi.toString(16)} is installed already`);
    const row = this.#rows.take();
    this.#counters.clear(row);
    this.#rowOf.set(sa.spi, row);
    try {
      await this.command(sa.direction === "inbound" ? { kind: "installInbound", sa, row } : { kind: "installOutbound", sa, row, numbers });
    } catch (error) {
      // After a restart the row may be another's already.
      if (this.#rowOf.get(sa.spi) === row) this.#release(sa.spi);
      throw error;
    }
  }

  async deleteSa(spi: EspSpi): Promise<void> {
    await this.command({ kind: "deleteSa", spi });
    this.#release(spi);
  }

  /** With its worker its SAs are gone too: then there is nothing to be done. */
  async flush(): Promise<void> {
    if (this.#ended) return;
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

  /** Resolves when the worker's thread is no more, whether it obeyed or had failed before. */
  async stop(): Promise<void> {
    if (!this.#ended) {
      this.#isStopping = true;
      // A worker that fails instead of obeying ends all the same.
      await Promise.allSettled([this.command({ kind: "stop" })]);
      this.#ended = true;
    }
    await this.#exited;
  }

  #startWorker(isReplacement: boolean): WatchedWorker {
    // Its own: what a worker that died has said is taken all the same.
    const ikeRoom = new MessageRoom();
    return startWatchedWorker<FromWorker>(
      this.#file,
      this.#name,
      `the ${this.#name} worker`,
      { ...this.#workerData, ikeRoom: ikeRoom.shared, isReplacement },
      {
        message: (message) => this.#take(message, ikeRoom),
        isEnding: () => this.#ended,
        died: (reason, wasReady) => this.#bury(reason, (wasReady || isReplacement) && !this.#isStopping && this.#restarts.take(performance.now())),
      },
    );
  }

  #take(message: Exclude<FromWorker, { kind: "ready" }>, ikeRoom: MessageRoom): void {
    switch (message.kind) {
      case "done":
        return this.#settle(message.ticket, message.outcomes);
      case "event":
        return this.#listener.event(message.event);
      case "ike":
        ikeRoom.give();
        return this.#listener.ike(message.datagram);
      case "deviceLost":
        return this.#listener.deviceLost(message.reason);
    }
  }

  /** The worker is dead: what it was asked for is refused, its SAs are forgotten. */
  #bury(reason: string, isReplaced: boolean): void {
    const waiting = [...[...this.#pending.values()].flat(), ...this.#unsent];
    this.#pending.clear();
    this.#unsent = [];
    this.#rowOf.clear();
    this.#rows = new RowAllocator(MAX_SAS);
    this.#ended = !isReplaced;
    for (const { reject } of waiting) reject(new Error(reason));
    if (!isReplaced) return this.#listener.failed(reason);
    const exitedBefore = this.#exited;
    const { worker, exited, ready } = this.#startWorker(true);
    this.#worker = worker;
    this.#listener.replaced(this);
    this.#exited = Promise.all([exitedBefore, exited]).then(() => undefined);
    ready.then(
      () => this.#listener.restarted(reason),
      // It has said itself that it failed.
      () => undefined,
    );
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
    wake(this.#workerData.wakeFd);
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
