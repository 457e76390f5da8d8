import { type JobWithMetadata, PgBoss } from "pg-boss";
import { subscribe } from "../db/changes.ts";
import { database } from "../db/client.ts";
import { databaseUrl } from "../db/settings.ts";
import { createDueRuns } from "./due-runs.ts";
import { abandonRotation, rotateLink } from "./rotate-link.ts";

const runQueue = "rotation-run";
const tickQueue = "rotation-tick";
/** A run whose hub died is taken up again after this long; a healthy one takes well under a minute. */
const expireSeconds = 120;
const pollMilliseconds = 5_000;

interface RunJob {
  readonly runId: string;
}

/**
 * The part of a hub that rotates keys. pg-boss hands each run to one of the hubs, one run a link at a time, and again to another
 * when a hub dies with it; what has been done is in the run's steps. NOTIFY makes it prompt, a poll makes it sure.
 */
export async function startRotationWorker(options: { readonly log: (line: string) => void }): Promise<{ close(): Promise<void> }> {
  const boss = new PgBoss({ connectionString: databaseUrl(), application_name: "culvert-jobs", max: 4 });
  boss.on("error", (error) => options.log(`jobs: ${error.message}`));
  await boss.start();
  // exclusive: at most one job of a link is waiting or under way, so telling of a run twice does no harm.
  await boss.createQueue(runQueue, { policy: "exclusive", expireInSeconds: expireSeconds, retryLimit: 5, retryDelay: 1, deleteAfterSeconds: 3_600 });
  await boss.createQueue(tickQueue, { policy: "exclusive", expireInSeconds: 60, retryLimit: 0, deleteAfterSeconds: 3_600 });
  const enqueue = () => enqueueOpenRuns(boss).catch((error: unknown) => options.log(`rotation: ${reasonOf(error)}`));
  await boss.schedule(tickQueue, "* * * * *");
  await boss.work(tickQueue, { pollingIntervalSeconds: 2 }, async () => {
    await createDueRuns(new Date());
    await enqueue();
  });
  await boss.work(runQueue, { pollingIntervalSeconds: 0.5, batchSize: 1, includeMetadata: true }, async (jobs: JobWithMetadata<RunJob>[]) => {
    for (const { data, retryCount, retryLimit } of jobs) {
      try {
        await rotateLink(data.runId);
      } catch (error) {
        options.log(`rotation ${data.runId}: ${reasonOf(error)}`);
        if (retryCount < retryLimit) throw error;
        await abandonRotation(data.runId);
      }
    }
    // Another run of the same link may have waited for this one.
    await enqueue();
  });
  const unsubscribe = await subscribe((change) => {
    if (change.resource === "rotation") void enqueue();
  });
  const poll = setInterval(() => void enqueue(), pollMilliseconds);
  await enqueue();
  return {
    async close() {
      unsubscribe();
      clearInterval(poll);
      await boss.stop({ graceful: true, timeout: 5_000 });
    },
  };
}

async function enqueueOpenRuns(boss: PgBoss): Promise<void> {
  // A run under way has its job, and telling of it again is ignored; unless that job is gone, with every hub that tried.
  const runs = await database().rotationRun.findMany({ where: { state: { in: ["waiting", "running"] } }, orderBy: { createdAt: "asc" }, take: 100 });
  for (const run of runs) await boss.send(runQueue, { runId: run.id } satisfies RunJob, { singletonKey: run.linkId ?? run.id });
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
