import { type ChildProcess, spawn } from "node:child_process";

/** Changes come in bursts: an interface that goes down takes its addresses along. */
const BURST_MS = 100;
const RESTART_MS = 5_000;

/** Tells of every change of the machine's interfaces and addresses: the kernel takes routes away with them and does not bring them back. */
export class NetworkWatch {
  readonly #onChange: () => void;
  #monitor: ChildProcess | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
    this.#start();
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#monitor?.kill();
  }

  #start(): void {
    this.#timer = null;
    const monitor = spawn("ip", ["-o", "monitor", "link", "address"], { stdio: ["ignore", "pipe", "ignore"] });
    this.#monitor = monitor;
    monitor.stdout.on("data", () => this.#note());
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
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.#onChange();
    }, BURST_MS);
  }
}
