import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { database } from "../db/client.ts";
import { startTestDatabase } from "../testing/database.ts";
import { type PlayedLink, playLink } from "../testing/played-gateways.ts";
import { type Lease, LeaseLost, takeLease } from "./lease.ts";
import { rotateLink } from "./rotate-link.ts";

let stop: () => Promise<void>;
let link: PlayedLink;

beforeAll(async () => {
  ({ stop } = await startTestDatabase());
  link = await playLink("psk");
});
afterAll(async () => {
  await link.stop();
  await stop();
});

async function newRun(): Promise<string> {
  const data = { linkId: link.linkId, linkName: "Link", kind: "psk" as const, requestedBy: "Olga Owner" };
  return (await database().rotationRun.create({ data })).id;
}

async function taken(runId: string): Promise<Lease> {
  const lease = await takeLease(runId);
  if (lease === null) throw new Error("the run is not free");
  return lease;
}

const hold = (lease: Lease) => database().$transaction((tx) => lease.hold(tx));

describe("a run's lease", () => {
  it("is one worker's, until it lets go", async () => {
    const runId = await newRun();
    const leases = await Promise.all([takeLease(runId), takeLease(runId), takeLease(runId)]);
    const [mine, ...others] = leases.filter((lease) => lease !== null);
    expect(others).toEqual([]);
    await mine?.release();
    await (await taken(runId)).release();
    await database().rotationRun.delete({ where: { id: runId } });
  });

  it("passes on when it ran out; whoever had it writes nothing any more, not even its release", async () => {
    const runId = await newRun();
    const slow = await taken(runId);
    await hold(slow);
    await database().rotationRun.update({ where: { id: runId }, data: { heldUntil: new Date(Date.now() - 1_000) } });
    const next = await taken(runId);
    await expect(hold(slow)).rejects.toThrow(LeaseLost);
    await slow.release();
    await hold(next);
    expect(await takeLease(runId)).toBeNull();
    await next.release();
    await database().rotationRun.delete({ where: { id: runId } });
  });

  it("is not given for two runs of one link at once, whether taken at the same moment or later", async () => {
    const [one, two] = [await newRun(), await newRun()];
    const first = (await Promise.all([takeLease(one), takeLease(two)])).filter((lease) => lease !== null);
    expect(first).toHaveLength(1);
    // The first one waits for a gateway, without a worker: the link is still its own.
    await first[0]?.release();
    const other = first[0]?.runId === one ? two : one;
    expect(await takeLease(other)).toBeNull();
    await database().rotationRun.deleteMany({ where: { id: { in: [one, two] } } });
  });

  it("keeps a job that was given to a second worker too early from doing anything twice", async () => {
    const runId = await newRun();
    await Promise.all([rotateLink(runId), rotateLink(runId), rotateLink(runId)]);
    expect((await database().rotationRun.findUniqueOrThrow({ where: { id: runId } })).state).toBe("succeeded");
    const commands = await database().gatewayCommand.findMany({ where: { linkId: link.linkId } });
    expect(commands.filter((row) => JSON.stringify(row.command).includes("reauthenticate"))).toHaveLength(1);
    expect(await database().credential.count({ where: { linkId: link.linkId } })).toBe(2);
  }, 30_000);
});
