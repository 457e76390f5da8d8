import type { IkeDatagram } from "../data-plane.ts";
import { wake } from "../ffi/waiting.ts";
import { RestartAllowance } from "../restart-allowance.ts";
import { MessageRoom } from "../tun/message-room.ts";
import { startWatchedWorker } from "../watched-worker.ts";
import type { KernelEvent } from "./kernel-events.ts";
import type { FromListener, ListenerOptions } from "./listener-protocol.ts";

const file = new URL(`./xfrm-listener-worker${import.meta.url.endsWith(".ts") ? ".ts" : ".mjs"}`, import.meta.url);

export interface ListenerParts {
  readonly event: (event: KernelEvent) => void;
  readonly ike: (datagram: IkeDatagram) => void;
  /** The worker died and another listens in its place. What it had read and not told is lost; what came since waited. */
  readonly replaced: (reason: string) => void;
  /** Nobody listens any more. */
  readonly failed: (reason: string) => void;
}

/** The main thread's side of xfrm-listener-worker.ts. SAs and policies are the kernel's: a worker that dies, or hangs and is ended, is replaced and takes none of them along. */
export class KernelListener {
  /** Resolves when the first worker listens. */
  readonly ready: Promise<void>;
  readonly #options: Omit<ListenerOptions, "heartbeat" | "ikeRoom">;
  readonly #parts: ListenerParts;
  #exited: Promise<void> = Promise.resolve();
  readonly #restarts = new RestartAllowance();
  #isStopping = false;

  constructor(options: Omit<ListenerOptions, "heartbeat" | "ikeRoom">, parts: ListenerParts) {
    this.#options = options;
    this.#parts = parts;
    this.ready = this.#start(false);
  }

  /** Resolves when the worker's thread is no more. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    wake(this.#options.wakeFd);
    await this.#exited;
  }

  #start(isReplacement: boolean): Promise<void> {
    // Its own: what a worker that died has said is taken all the same.
    const ikeRoom = new MessageRoom();
    const options = { ...this.#options, ikeRoom: ikeRoom.shared };
    const { ready, exited } = startWatchedWorker<FromListener>(file, "xfrm-listener", "the listening worker", options, {
      message: (message) => this.#take(message, ikeRoom),
      isEnding: () => this.#isStopping,
      died: (reason, wasReady) => {
        if ((wasReady || isReplacement) && this.#restarts.take(performance.now())) return this.#replace(reason);
        this.#isStopping = true;
        this.#parts.failed(reason);
      },
    });
    this.#exited = Promise.all([this.#exited, exited]).then(() => undefined);
    return ready;
  }

  #take(message: Exclude<FromListener, { readonly kind: "ready" }>, ikeRoom: MessageRoom): void {
    if (message.kind === "kernel") {
      for (const event of message.events) this.#parts.event(event);
      return;
    }
    ikeRoom.give();
    this.#parts.ike(message.datagram);
  }

  #replace(reason: string): void {
    this.#start(true).then(
      () => this.#parts.replaced(reason),
      // It has said itself that it failed.
      () => undefined,
    );
  }
}
