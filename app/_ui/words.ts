/** How instants, durations and amounts are written, everywhere. */

/** Milliseconds since 1970, an ISO text, or nothing. */
export type Instant = number | string | null | undefined;

/** Milliseconds since 1970; null for nothing or for a text that is no time. */
export function timeOf(instant: Instant): number | null {
  if (instant === null || instant === undefined) return null;
  const value = typeof instant === "number" ? instant : Date.parse(instant);
  return Number.isFinite(value) ? value : null;
}

export function exactTime(milliseconds: number): string {
  return new Date(milliseconds).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "long" });
}

const steps = [
  { upTo: 60_000, per: 1_000, unit: "s" },
  { upTo: 3_600_000, per: 60_000, unit: "min" },
  { upTo: 172_800_000, per: 3_600_000, unit: "h" },
  { upTo: Number.POSITIVE_INFINITY, per: 86_400_000, unit: "d" },
] as const;

/** "12 s", "4 min", "3 h", "9 d": one unit, rounded down; a negative age (clocks differ) is "0 s". */
export function ageWords(milliseconds: number): string {
  const positive = Math.max(0, milliseconds);
  const step = steps.find((candidate) => positive < candidate.upTo) ?? steps[3];
  return `${Math.floor(positive / step.per)} ${step.unit}`;
}

export function untilWords(milliseconds: number): string {
  return milliseconds >= 0 ? `in ${ageWords(milliseconds)}` : `${ageWords(-milliseconds)} ago`;
}

const decimalUnits = ["", "k", "M", "G", "T", "P"] as const;

/** "4.2 Mbit/s". */
export function bitRate(bitsPerSecond: number): string {
  return `${scaled(bitsPerSecond)}bit/s`;
}

/** "1.5 MB": decimal, as network gear counts. */
export function byteCount(bytes: number): string {
  return `${scaled(bytes)}B`;
}

export function plainCount(value: number): string {
  return value.toLocaleString("en-GB");
}

export function milliseconds(value: number | null | undefined): string {
  if (value === null || value === undefined) return "—";
  return `${value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : Math.round(value)} ms`;
}

/** "1 link", "3 links". */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${plainCount(count)} ${count === 1 ? noun : plural}`;
}

function scaled(value: number): string {
  let rest = value;
  let unit = 0;
  while (rest >= 1_000 && unit < decimalUnits.length - 1) {
    rest /= 1_000;
    unit += 1;
  }
  const digits = unit === 0 || rest >= 100 ? Math.round(rest).toString() : rest.toFixed(1);
  return `${digits} ${decimalUnits[unit]}`;
}
