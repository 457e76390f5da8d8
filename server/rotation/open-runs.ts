import { database } from "../db/client.ts";

export interface OpenRun {
  readonly id: string;
  /** What no two workers may have at once: the link, or the run itself when its link is gone. */
  readonly key: string;
}

/**
 * Runs that want a worker now: of every link the one under way, else the oldest that waits; however many others there are. Left out are
 * those that a worker holds, and those that wait for a gateway until it has answered (or a while has passed).
 */
export async function runsWantingWork(): Promise<OpenRun[]> {
  return database().$queryRaw<OpenRun[]>`
    SELECT first.id, first.key FROM (
      SELECT DISTINCT ON (COALESCE(run."linkId", run.id)) run.*, COALESCE(run."linkId", run.id) AS key
      FROM "RotationRun" run WHERE run.state IN ('waiting', 'running')
      ORDER BY COALESCE(run."linkId", run.id), run.state = 'running' DESC, run."createdAt", run.id) first
    WHERE (first."heldUntil" IS NULL OR first."heldUntil" < now())
      AND (first."nextTryAt" IS NULL OR first."nextTryAt" <= now() OR EXISTS (
        -- 70 s: a run that waits is looked at every 60 s, and an answer may have come in while it was put to rest.
        SELECT 1 FROM "LinkState" state WHERE state."linkId" = first."linkId" AND state."verdictAt" > first."nextTryAt" - interval '70 seconds'
      ) AND NOT EXISTS (
        SELECT 1 FROM "LinkState" state WHERE state."linkId" = first."linkId"
          AND (state."verdictRevision" < state."requiredRevision" OR state.verdict = 'refused')))
    ORDER BY first."createdAt"`;
}
