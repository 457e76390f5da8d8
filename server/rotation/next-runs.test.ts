import { describe, expect, it } from "vitest";
import { Invalid } from "../errors.ts";
import { nextRuns } from "./next-runs.ts";

const iso = (times: number[]) => times.map((time) => new Date(time).toISOString());

describe("nextRuns", () => {
  it("keeps the wall clock's time across a change of daylight saving", () => {
    expect(iso(nextRuns("0 3 * * 0", "Europe/Amsterdam", 2, new Date("2026-10-20T00:00:00Z")))).toEqual([
      "2026-10-25T02:00:00.000Z",
      "2026-11-01T02:00:00.000Z",
    ]);
    expect(iso(nextRuns("0 3 * * 0", "Europe/Amsterdam", 1, new Date("2026-10-14T00:00:00Z")))).toEqual(["2026-10-18T01:00:00.000Z"]);
  });
  it("names the field of what it cannot read", () => {
    for (const [cron, timeZone, field] of [
      ["0 3 * *", "UTC", "cron"],
      ["61 3 * * *", "UTC", "cron"],
      ["0 0 30 2 *", "UTC", "cron"],
      ["0 3 * * *", "Europe/Atlantis", "timeZone"],
    ] as const) {
      try {
        nextRuns(cron, timeZone, 3);
        expect.unreachable(`${cron} ${timeZone} was taken`);
      } catch (error) {
        expect(error instanceof Invalid && Object.keys(error.fields), `${cron} ${timeZone}`).toEqual([field]);
      }
    }
  });
});
