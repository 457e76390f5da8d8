const MOST_MESSAGES = 512;

/**
 * How many of a worker's messages wait for the main thread, in memory that both share. Anyone can send what becomes one, and their port has no bound: what
 * finds no room is dropped, as by the full buffer of a socket.
 */
export class MessageRoom {
  readonly shared: SharedArrayBuffer;
  readonly #waiting: Int32Array;

  constructor(shared = new SharedArrayBuffer(4)) {
    this.shared = shared;
    this.#waiting = new Int32Array(shared);
  }

  /** By the worker, before it says one. False: there is no room. */
  take(): boolean {
    // Nobody else adds, so that it cannot become too many in between.
    if (Atomics.load(this.#waiting, 0) >= MOST_MESSAGES) return false;
    Atomics.add(this.#waiting, 0, 1);
    return true;
  }

  /** By the main thread, when it has dealt with one. */
  give(): void {
    Atomics.sub(this.#waiting, 0, 1);
  }
}
