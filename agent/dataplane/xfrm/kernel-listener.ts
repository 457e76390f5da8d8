import { Worker } from "node:worker_threads";
import type { IkeDatagram } from "../data-plane.ts";
import { wake } from "../ffi/waiting.ts";
import { Heartbeat, watchWorker } from "../heartbeat.ts";
import type { KernelEvent } from "./kernel-events.ts";
import type { FromListener, ListenerOptions } from "./listener-protocol.ts";

const file = new URL(`./xfrm-listener-worker${import.meta.url.endsWith(".ts") ? ".ts" : ".mjs"}`, import.meta.url);

export interface ListenerParts {
  readonly event: (event: KernelEvent) => void;
  readonly ike: (datagram: IkeDatagram) => void;
  readonly failed: (reason: string) => void;
}

/** The main thread's side of xfrm-listener-worker.ts. */
export class KernelListener {
  readonly ready: Promise<void>;
  readonly #wakeFd: number;
  readonly #exited: Promise<void>;
  #isStopping = false;

  constructor(options: Omit<ListenerOptions, "heartbeat">, parts: ListenerParts) {
    this.#wakeFd = options.wakeFd;
    const heartbeat = new Heartbeat();
    const workerData: ListenerOptions = { ...options, heartbeat: heartbeat.shared };
    const worker = new Worker(file, { workerData, name: "xfrm-listener" });
    this.#exited = new Promise((resolve) => worker.once("exit", () => resolve()));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.ready = promise;
    const fail = (reason: string) => {
      if (this.#isStopping) return;
      this.#isStopping = true;
      reject(new Error(reason));
      parts.failed(reason);
    };
    const watch = () => {
      const endWatch = watchWorker(heartbeat, (silence) => {
        fail(`the listening worker failed: ${silence}`);
        void worker.terminate();
      });
      worker.once("exit", endWatch);
    };
    worker.on("message", (message: FromListener) => {
      if (message.kind === "ready") {
        watch();
        resolve();
      } else if (message.kind === "ike") parts.ike(message.datagram);
      else for (const event of message.events) parts.event(event);
    });
    worker.on("error", (error) => fail(`the listening worker failed: ${error instanceof Error ? error.message : String(error)}`));
    worker.on("exit", (code) => fail(`the listening worker ended with code ${code}`));
  }

  /** Resolves when the worker's thread is no more. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    wake(this.#wakeFd);
    await this.#exited;
  }
}
