import { authorize } from "../../../../server/auth/actor.ts";
import { nextRuns } from "../../../../server/rotation/next-runs.ts";
import { api } from "../../../_server/answer.ts";

/** The next three runs of a cron expression, while it is typed. */
export const GET = api(async ({ actor, search }) => {
  authorize(actor, "read");
  return { next: nextRuns(search.get("cron") ?? "", search.get("timeZone") ?? "", 3) };
});
