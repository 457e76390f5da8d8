import { readFileSync } from "node:fs";

/** A worker's loop turns at least this often, traffic or not. */
const TURN_EVERY_MS = 250;
const LOOK_EVERY_MS = 500;
/** So many looks in a row, 2 s, without a sign of life: no turn of a loop that works takes as long. */
const SILENT_LOOKS = 4;
/** And of that time so much in which the worker ran, or waited for something other than a processor: on a machine with more to do than it can, a loop that works may take as long. */
const SILENT_MS = 1_000;
/** A look that comes later than this after the one before says nothing: the main thread did not run either, so the worker need not have. */
const LATE_AFTER_MS = 1.5 * LOOK_EVERY_MS;

/**
 * A worker's sign of life: a number in memory that it shares with the main thread, counted on once a turn of its loop, and within a turn where that
 * may take long: never once a packet.
 */
export class Heartbeat {
  readonly shared: SharedArrayBuffer;
  /** Its signs of life, and the kernel's number of its thread. */
  readonly #count: Int32Array;

  constructor(shared = new SharedArrayBuffer(8)) {
    this.shared = shared;
    this.#count = new Int32Array(shared);
  }

  /** By the worker, before its loop: gettid(2). Without it the worker is judged as if it always had a processor. */
  begin(thread: number): void {
    this.#count[1] = thread;
  }

  /** 0: not told. */
  get thread(): number {
    return Atomics.load(this.#count, 1);
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
  #silentMs = 0;

  constructor(heartbeat: Heartbeat, now: number) {
    this.#heartbeat = heartbeat;
    this.#lookedAt = now;
    this.#count = heartbeat.count;
  }

  /** Whether the worker hangs. `had`: of the time since the look before, that in which it could have given a sign. */
  look(now: number, had: number): boolean {
    const { count } = this.#heartbeat;
    const isOnTime = now - this.#lookedAt <= LATE_AFTER_MS;
    this.#lookedAt = now;
    if (count !== this.#count) {
      this.#silentLooks = 0;
      this.#silentMs = 0;
    } else if (isOnTime) {
      this.#silentLooks++;
      this.#silentMs += had;
    }
    this.#count = count;
    return this.#silentLooks >= SILENT_LOOKS && this.#silentMs >= SILENT_MS;
  }
}

/** How much of its time a thread could use: all of it, unless it waits for a processor; then what it got. By /proc/self/task/…/stat (proc(5)). */
export class ThreadTime {
  readonly #read: () => string | null;
  #lookedAt: number;
  #ranMs: number;

  /** `read`: the file's text, null when it cannot be read. */
  constructor(now: number, read: () => string | null) {
    this.#read = read;
    this.#lookedAt = now;
    this.#ranMs = parseStat(read())?.ranMs ?? 0;
  }

  /** Milliseconds since the time before. */
  had(now: number): number {
    const elapsed = now - this.#lookedAt;
    this.#lookedAt = now;
    const stat = parseStat(this.#read());
    if (stat === null) return elapsed;
    const ran = stat.ranMs - this.#ranMs;
    this.#ranMs = stat.ranMs;
    return stat.isRunnable ? Math.min(ran, elapsed) : elapsed;
  }
}

/** Clock ticks of proc(5) are of 10 ms wherever Node runs. */
const TICK_MS = 10;

/** The name, in parentheses, may hold anything; state is the first field behind it, utime and stime are the 12th and 13th. */
function parseStat(text: string | null): { readonly isRunnable: boolean; readonly ranMs: number } | null {
  const fields = text?.slice(text.lastIndexOf(")") + 2).split(" ") ?? [];
  const ticks = Number(fields[11]) + Number(fields[12]);
  return Number.isNaN(ticks) ? null : { isRunnable: fields[0] === "R", ranMs: TICK_MS * ticks };
}

function statOf(heartbeat: Heartbeat): string | null {
  if (heartbeat.thread === 0) return null;
  try {
    return readFileSync(`/proc/self/task/${heartbeat.thread}/stat`, "latin1");
  } catch {
    // No such thread any more, which its end tells, or no /proc: then it is judged by the clock alone.
    return null;
  }
}

/** Calls back once when the worker hangs, with how that is said of it. Returns what ends the watch. Keeps no process alive. */
export function watchWorker(heartbeat: Heartbeat, onHung: (reason: string) => void): () => void {
  const judge = new SilenceJudge(heartbeat, performance.now());
  const time = new ThreadTime(performance.now(), () => statOf(heartbeat));
  const timer = setInterval(() => {
    const now = performance.now();
    if (!judge.look(now, time.had(now))) return;
    clearInterval(timer);
    onHung(`it has given no sign of life for ${(SILENT_LOOKS * LOOK_EVERY_MS) / 1_000} s`);
  }, LOOK_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}
