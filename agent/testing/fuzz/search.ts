import { SeededRandom } from "../seeded-random.ts";
import { Coverage } from "./coverage.ts";
import { mutate } from "./mutate.ts";
import type { Target } from "./target.ts";

export interface SearchResult {
  readonly executions: number;
  readonly reached: number;
  /** Inputs that each reached code that none before had. */
  readonly corpus: readonly Uint8Array[];
  /** The first input that broke the target, made as short as it could be, and how. */
  readonly finding: { readonly input: Uint8Array; readonly error: Error } | null;
}

const LONGEST = 2_048;
/** Executed between two looks at the coverage, which costs as much as some hundred inputs. */
const BATCH = 400;
/** An input that takes as long is a finding: one datagram would hold everything up. */
const SLOW_MS = 500;

/** Mutates what reaches new code, for so many milliseconds. The same seed and corpus give the same inputs. */
export function search(target: Target, known: readonly Uint8Array[], forMs: number, seed: number): SearchResult {
  const coverage = new Coverage(target.watched);
  const random = new SeededRandom(seed);
  const corpus: Uint8Array[] = [];
  let executions = 0;
  try {
    for (const input of [...target.seeds(), ...known]) {
      const failed = attempt(target, input);
      if (failed !== null) return { executions, reached: coverage.reached, corpus, finding: { input, error: failed } };
      executions += 1;
      if (coverage.takeNew() > 0 || corpus.length === 0) corpus.push(input);
    }
    const end = performance.now() + forMs;
    while (performance.now() < end) {
      const batch = Array.from({ length: target.batch ?? BATCH }, () => mutate(pick(corpus, random), pick(corpus, random), random, LONGEST));
      for (const input of batch) {
        const failed = attempt(target, input);
        executions += 1;
        if (failed !== null) return { executions, reached: coverage.reached, corpus, finding: { input: shortest(target, input), error: failed } };
      }
      if (coverage.takeNew() === 0) continue;
      corpus.push(...culprits(target, corpus, batch));
    }
    return { executions, reached: coverage.reached, corpus, finding: null };
  } finally {
    coverage.close();
  }
}

/** Of a batch that reached new code: those that do so one after the other, in the light of the corpus before it. */
function culprits(target: Target, corpus: readonly Uint8Array[], batch: readonly Uint8Array[]): Uint8Array[] {
  const afresh = new Coverage(target.watched);
  try {
    for (const input of corpus) attempt(target, input);
    afresh.takeNew();
    return batch.filter((input) => {
      attempt(target, input);
      return afresh.takeNew() > 0;
    });
  } finally {
    afresh.close();
  }
}

/** Null when all is well: the input was taken, or refused in the way that the target allows. */
export function attempt(target: Target, input: Uint8Array): Error | null {
  const began = process.threadCpuUsage();
  try {
    target.run(input);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
  // Its own time: the machine may be busy with something else.
  const { user, system } = process.threadCpuUsage(began);
  const took = (user + system) / 1_000;
  return took > (target.slowMs ?? SLOW_MS) ? new Error(`${input.length} octets took ${Math.round(took)} ms`) : null;
}

/** Cuts pieces out for as long as it still fails. */
function shortest(target: Target, input: Uint8Array): Uint8Array {
  let best = input;
  for (let piece = best.length >> 1; piece >= 1; piece >>= 1)
    for (let at = 0; at + piece <= best.length; ) {
      const shorter = Uint8Array.from([...best.subarray(0, at), ...best.subarray(at + piece)]);
      if (attempt(target, shorter) === null) at += piece;
      else best = shorter;
    }
  return best;
}

function pick(corpus: readonly Uint8Array[], random: SeededRandom): Uint8Array {
  return corpus[Math.floor(random.next() * corpus.length)]!;
}
