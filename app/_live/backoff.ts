/** Milliseconds of silence after which the stream no longer counts as live: three heartbeats of 5 s. */
export const staleAfter = 15_000;

/** Waits 1, 2, 4 … 30 s between attempts. */
export function retryDelay(attempt: number): number {
  return Math.min(30_000, 1_000 * 2 ** Math.min(attempt, 10));
}
