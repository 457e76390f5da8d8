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
