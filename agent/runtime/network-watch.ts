import { spawn } from "node:child_process";
import type { EventEmitter } from "node:events";
import { ownProtocols } from "./routes.ts";

/** Changes come in bursts: an interface that goes down takes its addresses along. */
const BURST_MS = 100;
/** Where a routing daemon changes routes without end, ours are looked at no more often than this. */
const PAUSE_MS = 500;
const RESTART_MS = 5_000;

/** A running `ip monitor`: what it says, in lines. */
export type Monitor = EventEmitter & { readonly stdout: EventEmitter; kill(): unknown };

/**
 * Tells of every change of the machine's interfaces, addresses and routes: the kernel takes routes away with the former and does not bring them back, and the
 * way to a peer may be another. Not of changes of our own routes: what they make others do must not come back to us without end.
 */
export class NetworkWatch {
  readonly #onChange: () => void;
  readonly #startMonitor: () => Monitor;
  #monitor: Monitor | null = null;
  #timer: NodeJS.Timeout | null = null;
  #pause: NodeJS.Timeout | null = null;
  #isNoted = false;
  #isClosed = false;

  constructor(onChange: () => void, startMonitor = startIpMonitor) {
    this.#onChange = onChange;
    this.#startMonitor = startMonitor;
    this.#start();
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#pause !== null) clearTimeout(this.#pause);
    this.#monitor?.kill();
  }

  #start(): void {
    this.#timer = null;
    const monitor = this.#startMonitor();
    this.#monitor = monitor;
    let begun = "";
    monitor.stdout.on("data", (bytes: Buffer) => {
      const lines = `${begun}${bytes.toString("latin1")}`.split("\n");
      begun = lines.pop()!;
      if (lines.some(isOfOthers)) this.#note();
    });
    // One that ends (out of memory, killed) is begun again, and what it missed is looked at; without a program nothing is told.
    monitor.once("error", () => undefined);
    monitor.once("exit", () => {
      if (this.#isClosed) return;
      if (this.#timer !== null) clearTimeout(this.#timer);
      this.#timer = setTimeout(() => {
        this.#start();
        this.#note();
      }, RESTART_MS);
    });
  }

  #note(): void {
    if (this.#isClosed) return;
    this.#isNoted = true;
    if (this.#pause === null) this.#timer ??= setTimeout(() => this.#tell(), BURST_MS);
  }

  #tell(): void {
    this.#timer = null;
    this.#isNoted = false;
    this.#pause = setTimeout(() => {
      this.#pause = null;
      if (this.#isNoted) this.#note();
    }, PAUSE_MS - BURST_MS);
    this.#onChange();
  }
}

const ownRoute = new RegExp(` proto (?:${ownProtocols.join("|")})(?: |$)`);

function isOfOthers(line: string): boolean {
  return line !== "" && !ownRoute.test(line);
}

function startIpMonitor(): Monitor {
  return spawn("ip", ["-o", "-N", "monitor", "link", "address", "route"], { stdio: ["ignore", "pipe", "ignore"] });
}
