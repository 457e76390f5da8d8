import { Cron } from "croner";
import { Invalid } from "../errors.ts";

/**
 * The next `count` times of a five-field cron expression in a time zone, in milliseconds. Throws Invalid at `cron` or `timeZone`
 * with what is wrong. A time that daylight saving skips or repeats comes once.
 */
export function nextRuns(cron: string, timeZone: string, count: number, from: Date = new Date()): number[] {
  if (!isTimeZone(timeZone)) throw new Invalid({ timeZone: `There is no time zone “${timeZone}”.` });
  if (cron.trim().split(/\s+/).length !== 5) throw new Invalid({ cron: "Write five fields: minute, hour, day of month, month, day of week." });
  try {
    const runs = new Cron(cron.trim(), { timezone: timeZone, paused: true }).nextRuns(count, from);
    if (runs.length === 0) throw new RangeError("It never comes.");
    return runs.map((run) => run.getTime());
  } catch (error) {
    throw new Invalid({
      cron: `This is not a cron expression. ${error instanceof Error ? error.message.replace(/^CronPattern: /, "") : ""}`.trim(),
    });
  }
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en-GB", { timeZone: name });
    return true;
  } catch {
    // RangeError is how Intl says that it has no such zone.
    return false;
  }
}

/** The next time after `from`, or one sentence that says why there is none: rows may be of another version, or written by hand. */
export function nextRunOrProblem(schedule: { readonly cron: string; readonly timeZone: string }, from?: Date): { at: number } | { problem: string } {
  try {
    const [at] = nextRuns(schedule.cron, schedule.timeZone, 1, from);
    return at === undefined ? { problem: "It never comes." } : { at };
  } catch (error) {
    if (!(error instanceof Invalid)) throw error;
    return { problem: Object.values(error.fields).join(" ") };
  }
}
