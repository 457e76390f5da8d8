import { Worker } from "node:worker_threads";
import { Heartbeat, watchWorker } from "./heartbeat.ts";

export interface WatchedWorker {
  readonly worker: Worker;
  /** Resolves when it says that it runs; rejects when it dies before. */
  readonly ready: Promise<void>;
  /** Resolves when its thread is no more. */
  readonly exited: Promise<void>;
}

export interface WorkerKeeper<Message> {
  /** What it says, but for `ready`. */
  readonly message: (message: Exclude<Message, { readonly kind: "ready" }>) => void;
  /** It is to end: that it does is no death. */
  readonly isEnding: () => boolean;
  /** Once at most: it threw, ended by itself, or hung and was ended. `wasReady`: it had run. */
  readonly died: (reason: string, wasReady: boolean) => void;
}

/**
 * A worker of the data plane, under watch from the moment that it says `ready`: one that hangs is ended and counts as dead (heartbeat.ts). `called` is what
 * a reason calls it, such as "the inbound worker"; the worker finds `workerData` with a `heartbeat` beside it.
 */
export function startWatchedWorker<Message extends { readonly kind: string }>(
  file: URL,
  name: string,
  called: string,
  workerData: object,
  keeper: WorkerKeeper<Message>,
): WatchedWorker {
  const heartbeat = new Heartbeat();
  const worker = new Worker(file, { workerData: { ...workerData, heartbeat: heartbeat.shared }, name });
  const exited = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
  let isReady = false;
  let isDead = false;
  const die = (reason: string) => {
    if (isDead || keeper.isEnding()) return;
    isDead = true;
    reject(new Error(reason));
    keeper.died(reason, isReady);
  };
  const begin = () => {
    isReady = true;
    const endWatch = watchWorker(heartbeat, (silence) => {
      die(`${called} failed: ${silence}`);
      void worker.terminate();
    });
    worker.once("exit", endWatch);
    resolve();
  };
  worker.on("message", (message: Message) => {
    if (isMessage(message)) keeper.message(message);
    else begin();
  });
  worker.on("error", (error) => die(`${called} failed: ${error instanceof Error ? error.message : String(error)}`));
  worker.on("exit", (code) => die(`${called} ended with code ${code}`));
  return { worker, ready, exited };
}

function isMessage<Message extends { readonly kind: string }>(message: Message): message is Exclude<Message, { readonly kind: "ready" }> {
  return message.kind !== "ready";
}
