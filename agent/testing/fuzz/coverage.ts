import { type Profiler, Session } from "node:inspector";

/**
 * Which code a fuzzing target has reached, from V8's own block counts: nothing is instrumented, and a build step is not needed. A feature is a
 * character of a watched file that has been executed; what counts is whether there are new ones.
 */
export class Coverage {
  readonly #session = new Session();
  readonly #watched: readonly RegExp[];
  readonly #reached = new Map<string, Uint8Array>();

  constructor(watched: readonly RegExp[]) {
    this.#watched = watched;
    this.#session.connect();
    this.#post("Profiler.enable");
    this.#post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** How many characters have been reached for the first time since the last call. */
  takeNew(): number {
    let fresh = 0;
    for (const script of this.#take()) {
      if (!this.#watched.some((pattern) => pattern.test(script.url))) continue;
      fresh += this.#merge(script);
    }
    return fresh;
  }

  /** Characters reached in all, and those of the functions that were never entered left out. */
  get reached(): number {
    let sum = 0;
    for (const file of this.#reached.values()) for (const octet of file) sum += octet;
    return sum;
  }

  close(): void {
    this.#post("Profiler.stopPreciseCoverage");
    this.#session.disconnect();
  }

  #merge({ url, functions }: Profiler.ScriptCoverage): number {
    const length = Math.max(0, ...functions.flatMap((one) => one.ranges.map((range) => range.endOffset)));
    let known = this.#reached.get(url);
    if (known === undefined || known.length < length) {
      const grown = new Uint8Array(length);
      if (known !== undefined) grown.set(known);
      known = grown;
      this.#reached.set(url, known);
    }
    let fresh = 0;
    for (const { ranges } of functions) {
      const [whole] = ranges;
      if (whole === undefined || whole.count === 0) continue;
      // The ranges of a function go from the outside in: the last that holds a character says whether it was executed.
      const executed = new Uint8Array(whole.endOffset - whole.startOffset);
      for (const { startOffset, endOffset, count } of ranges) executed.fill(count > 0 ? 1 : 0, startOffset - whole.startOffset, endOffset - whole.startOffset);
      for (let at = 0; at < executed.length; at++) {
        if (executed[at] === 0 || known[whole.startOffset + at] === 1) continue;
        known[whole.startOffset + at] = 1;
        fresh += 1;
      }
    }
    return fresh;
  }

  #take(): Profiler.ScriptCoverage[] {
    return this.#post<Profiler.TakePreciseCoverageReturnType>("Profiler.takePreciseCoverage").result;
  }

  /** The session lives in this thread, so it answers before `post` returns. */
  #post<T>(method: string, parameters: object = {}): T {
    let answer: { error: Error | null; result: unknown } | null = null;
    this.#session.post(method, parameters, (error, result) => {
      answer = { error, result };
    });
    const { error, result } = answer ?? { error: new Error(`${method} did not answer`), result: null };
    if (error !== null) throw error;
    return result as T;
  }
}
