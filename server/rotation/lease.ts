import { randomUUID } from "node:crypto";
import type { RotationRun } from "../../generated/prisma/client.ts";
import { announce } from "../db/changes.ts";
import { database, type Transaction } from "../db/client.ts";

/** Another worker has the run, or it has ended: whatever this one was about to write is not written. */
export class LeaseLost extends Error {
  constructor() {
    super("another worker has taken this rotation over, or it has ended");
  }
}

/** The right to work on a run. Every write goes through `hold`, so that a worker that was thought dead changes nothing any more. */
export interface Lease {
  readonly runId: string;
  /** Locks the run's row for the rest of the transaction and returns it. @throws LeaseLost */
  hold(tx: Transaction): Promise<RotationRun>;
  /** Lets another worker have it at once. */
  release(): Promise<void>;
}

const leaseSeconds = 30;
const renewMilliseconds = 10_000;

/**
 * Takes a run that is waiting, or one that is under way and that nobody holds; null: someone works on it, on another run of its link, or
 * it has ended. A worker that dies is followed by another when its lease runs out.
 */
export async function takeLease(runId: string): Promise<Lease | null> {
  const holder = randomUUID();
  const isTaken = await database().$transaction(async (tx) => {
    const run = await tx.rotationRun.findUnique({ where: { id: runId } });
    if (run === null) return false;
    // Two runs of one link that are taken at once wait for each other here.
    await tx.$queryRaw`SELECT 1 FROM "Link" WHERE "id" = ${run.linkId} FOR NO KEY UPDATE`;
    const others = run.linkId === null ? 0 : await tx.rotationRun.count({ where: { linkId: run.linkId, state: "running", id: { not: runId } } });
    if (others > 0) return false;
    const taken = await tx.$executeRaw`
      UPDATE "RotationRun" SET "holder" = ${holder}, "heldUntil" = clock_timestamp() + make_interval(secs => ${leaseSeconds}::float8), "nextTryAt" = NULL,
        "startedAt" = COALESCE("startedAt", clock_timestamp()), "state" = 'running',
        "sentence" = CASE "state" WHEN 'waiting' THEN 'Under way.' ELSE "sentence" END
      WHERE "id" = ${runId} AND "state" IN ('waiting', 'running') AND ("heldUntil" IS NULL OR "heldUntil" < clock_timestamp())`;
    if (taken > 0 && run.state === "waiting") await announce(tx, { resource: "rotation", id: runId });
    return taken > 0;
  });
  return isTaken ? keep(runId, holder) : null;
}

function keep(runId: string, holder: string): Lease {
  const renewal = setInterval(() => {
    // A renewal that fails is made up for by the next one; when none gets through, `hold` notices who has the run then.
    database()
      .$executeRaw`UPDATE "RotationRun" SET "heldUntil" = clock_timestamp() + make_interval(secs => ${leaseSeconds}::float8) WHERE "id" = ${runId} AND "holder" = ${holder}`.catch(
      () => undefined,
    );
  }, renewMilliseconds);
  return {
    runId,
    async hold(tx) {
      const held = await tx.$queryRaw<unknown[]>`
        SELECT 1 FROM "RotationRun" WHERE "id" = ${runId} AND "holder" = ${holder} AND "state" = 'running' FOR UPDATE`;
      if (held.length === 0) throw new LeaseLost();
      return tx.rotationRun.findUniqueOrThrow({ where: { id: runId } });
    },
    async release() {
      clearInterval(renewal);
      await database().rotationRun.updateMany({ where: { id: runId, holder }, data: { holder: null, heldUntil: null } });
    },
  };
}
