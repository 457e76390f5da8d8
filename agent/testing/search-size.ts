/**
 * How many situations a property of convergence is tried on, and which: the same ones each time, so that a run that fails is one that
 * somebody has broken. A longer search sets both: `CONVERGENCE_RUNS=5000 CONVERGENCE_SEED=$RANDOM`; fast-check prints the seed and the
 * smallest situation that fails. `usual`: the runs of every day.
 */
export function searchSize(usual: number): { readonly numRuns: number; readonly seed: number } {
  return { numRuns: Number(process.env["CONVERGENCE_RUNS"] ?? usual), seed: Number(process.env["CONVERGENCE_SEED"] ?? 20_261) };
}

/** The shares of packets that its lines lose. A search for what happens on bad ones alone sets them: `CONVERGENCE_LOSS=0.45,0.6`. */
export function searchLosses(usual: readonly number[]): readonly number[] {
  return process.env["CONVERGENCE_LOSS"]?.split(",").map(Number) ?? usual;
}

/** The time for such a search, which is much more than it should take. */
export function searchMs({ numRuns }: { readonly numRuns: number }): number {
  return 60_000 + numRuns * 600;
}
