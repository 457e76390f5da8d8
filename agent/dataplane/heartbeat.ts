/** A worker's loop turns at least this often, traffic or not. */
const TURN_EVERY_MS = 250;
const LOOK_EVERY_MS = 500;
/** So many looks in a row, 2 s, without a sign of life: no turn of a loop that works takes as long. */
const SILENT_LOOKS = 4;
/** A look that comes later than this after the one before says nothing: the main thread did not run either, so the worker need not have. */
const LATE_AFTER_MS = 1.5 * LOOK_EVERY_MS;

/**
 * A worker's sign of life: a number in memory that it shares with the main thread, counted on once a turn of its loop, and within a turn where that
 * may take long: never once a packet.
 */
export class Heartbeat {
  readonly shared: SharedArrayBuffer;
  readonly #count: Int32Array;

  constructor(shared = new SharedArrayBuffer(4)) {
    this.shared = shared;
    this.#count = new Int32Array(shared);
  }

  /** A plain store: nobody else writes, and when it is seen does not matter. */
  beat(): void {
    this.#count[0] = this.#count[0]! + 1;
  }

  /** At the beginning of a turn: for how long it may block at most, in milliseconds, when nothing else is waited for longer than `timeoutMs` (-1: for ever). */
  turn(timeoutMs: number): number {
    this.beat();
    return timeoutMs < 0 ? TURN_EVERY_MS : Math.min(timeoutMs, TURN_EVERY_MS);
  }

  get count(): number {
    return Atomics.load(this.#count, 0);
  }
}

/** Judges one worker by looks at its heartbeat. Times are milliseconds of a clock that is never set and does not run while the machine sleeps. */
export class SilenceJudge {
  readonly #heartbeat: Heartbeat;
  #lookedAt: number;
  #count: number;
  #silentLooks = 0;

  constructor(heartbeat: Heartbeat, now: number) {
    this.#heartbeat = heartbeat;
    this.#lookedAt = now;
    this.#count = heartbeat.count;
  }

  /** Whether the worker hangs. */
  look(now: number): boolean {
    const { count } = this.#heartbeat;
    const isOnTime = now - this.#lookedAt <= LATE_AFTER_MS;
    this.#lookedAt = now;
    if (count !== this.#count) this.#silentLooks = 0;
    else if (isOnTime) this.#silentLooks++;
    this.#count = count;
    return this.#silentLooks >= SILENT_LOOKS;
  }
}

/** Calls back once when the worker hangs, with how that is said of it. Returns what ends the watch. Keeps no process alive. */
export function watchWorker(heartbeat: Heartbeat, onHung: (reason: string) => void): () => void {
  const judge = new SilenceJudge(heartbeat, performance.now());
  const timer = setInterval(() => {
    if (!judge.look(performance.now())) return;
    clearInterval(timer);
    onHung(`it has given no sign of life for ${(SILENT_LOOKS * LOOK_EVERY_MS) / 1_000} s`);
  }, LOOK_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}
