/** Null of nothing. */
export function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  return upper === undefined || lower === undefined ? null : (upper + lower) / 2;
}

/**
 * Within what the median of all that could have been drawn lies, 95 times in 100 (the sign test: how many of n lie below it is binomial). Null of fewer
 * than six, which cannot say.
 */
export function medianInterval(values: readonly number[]): readonly [number, number] | null {
  const sorted = values.toSorted((a, b) => a - b);
  const n = sorted.length;
  // The chance of at most `below` values under the median.
  let chance = 0;
  let term = 0.5 ** n;
  let below = -1;
  while (chance + term <= 0.025) {
    below += 1;
    chance += term;
    term *= (n - below) / (below + 1);
  }
  const least = sorted[below];
  const most = sorted[n - 1 - below];
  return below < 0 || least === undefined || most === undefined ? null : [least, most];
}
