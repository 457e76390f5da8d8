import { type JobWithMetadata, PgBoss } from "pg-boss";
import { subscribe } from "../db/changes.ts";
import { databaseUrl } from "../db/settings.ts";
import { errand } from "../hub/errand.ts";
import { createDueRuns } from "./due-runs.ts";
import { LeaseLost } from "./lease.ts";
import { runsWantingWork } from "./open-runs.ts";
import { abandonRotation, rotateLink } from "./rotate-link.ts";

const runQueue = "rotation-run";
const tickQueue = "rotation-tick";
/** A job whose hub died is given to another after this long. One that merely took longer is kept from being done twice by its run's lease. */
const expireSeconds = 120;
const pollMilliseconds = 5_000;
/** How many links a hub works on at once: most of a rotation is waiting for gateways. */
const concurrency = 8;
const sendAtOnce = 500;

interface RunJob {
  readonly runId: string;
}

/**
 * The part of a hub that rotates keys. pg-boss hands each run to one of the hubs, one run a link at a time, and again to another
 * when a hub dies with it; what has been done is in the run's steps. NOTIFY makes it prompt, a poll makes it sure.
 */
export async function startRotationWorker(options: { readonly log: (line: string) => void }): Promise<{ close(): Promise<void> }> {
  const boss = new PgBoss({ connectionString: databaseUrl(), application_name: "culvert-jobs", max: 4, useListenNotify: true });
  boss.on("error", (error) => options.log(`jobs: ${error.message}`));
  await boss.start();
  // exclusive: at most one job of a link is waiting or under way, so telling of a run twice does no harm.
  await boss.createQueue(runQueue, {
    policy: "exclusive",
    expireInSeconds: expireSeconds,
    retryLimit: 5,
    retryDelay: 1,
    deleteAfterSeconds: 3_600,
    notify: true,
  });
  await boss.createQueue(tickQueue, { policy: "exclusive", expireInSeconds: 60, retryLimit: 0, deleteAfterSeconds: 3_600 });
  const handOut = errand("rotation", options.log, () => enqueueOpenRuns(boss));
  await boss.schedule(tickQueue, "* * * * *");
  await boss.work(tickQueue, { pollingIntervalSeconds: 2 }, () => createDueRuns(new Date()));
  const polling = { pollingIntervalSeconds: 2, localConcurrency: concurrency, batchSize: 1, includeMetadata: true } as const;
  await boss.work(runQueue, polling, async (jobs: JobWithMetadata<RunJob>[]) => {
    for (const job of jobs) await workOn(job, options.log);
    // Another run of the same link may have waited for this one.
    handOut.ask();
  });
  const unsubscribe = await subscribe((change) => {
    // A gateway's answer may be what a run waits for.
    if (change.resource === "rotation" || change.resource === "gateway") handOut.ask();
  });
  const poll = setInterval(() => handOut.ask(), pollMilliseconds);
  handOut.ask();
  return {
    async close() {
      unsubscribe();
      clearInterval(poll);
      await handOut.idle();
      await boss.stop({ graceful: true, timeout: 5_000 });
    },
  };
}

async function workOn({ data, retryCount, retryLimit }: JobWithMetadata<RunJob>, log: (line: string) => void): Promise<void> {
  try {
    await rotateLink(data.runId);
  } catch (error) {
    log(`rotation ${data.runId}: ${error instanceof Error ? error.message : String(error)}`);
    if (error instanceof LeaseLost) return;
    if (retryCount < retryLimit) throw error;
    await abandonRotation(data.runId);
  }
}

async function enqueueOpenRuns(boss: PgBoss): Promise<void> {
  const jobs = (await runsWantingWork()).map(({ id, key }) => ({ data: { runId: id } satisfies RunJob, singletonKey: key }));
  for (let sent = 0; sent < jobs.length; sent += sendAtOnce) await boss.insert(runQueue, jobs.slice(sent, sent + sendAtOnce));
}
