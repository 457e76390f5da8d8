import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { database } from "../db/client.ts";
import { startTestDatabase } from "../testing/database.ts";
import { type Faults, type PlayedLink, playLink } from "../testing/played-gateways.ts";
import { rotateLink } from "./rotate-link.ts";

let stop: () => Promise<void>;
const played: PlayedLink[] = [];

beforeAll(async () => {
  ({ stop } = await startTestDatabase());
});
afterAll(async () => {
  await Promise.all(played.map((link) => link.stop()));
  await stop();
});

async function play(faults: Faults = {}): Promise<PlayedLink> {
  const link = await playLink("psk", faults);
  played.push(link);
  return link;
}

async function newRun(linkId: string): Promise<string> {
  const { name } = await database().link.findUniqueOrThrow({ where: { id: linkId } });
  return (await database().rotationRun.create({ data: { linkId, linkName: name, kind: "psk", requestedBy: "Olga Owner" } })).id;
}

const runWithSteps = (id: string) => database().rotationRun.findUniqueOrThrow({ where: { id }, include: { steps: { orderBy: { position: "asc" } } } });
const credentials = (linkId: string) => database().credential.findMany({ where: { linkId }, orderBy: { createdAt: "asc" } });

describe("going back to the old key", () => {
  it("locks no gateway out that is away while it happens: the new key is accepted until that gateway has the old one in use again", async () => {
    const faults: Faults = { reauthentication: "refused" };
    faults.onCommand = () => {
      faults.offline = ["Amsterdam"];
    };
    const link = await play(faults);
    const [old] = await credentials(link.linkId);
    const id = await newRun(link.linkId);
    await rotateLink(id);

    const waiting = await runWithSteps(id);
    expect(waiting).toMatchObject({ state: "running", direction: "rollingBack", sentence: `Waits for ${link.siteA} to take the old key back into use.` });
    const [, fresh] = await credentials(link.linkId);
    expect(link.applied("A").use).toBe(fresh?.id);
    expect(link.lockouts).toEqual([]);
    expect(fresh?.secretId).not.toBeNull();

    delete faults.onCommand;
    delete faults.reauthentication;
    faults.offline = [];
    await expect.poll(() => link.applied("A").use).toBe(old?.id);
    await rotateLink(id);
    const run = await runWithSteps(id);
    expect([run.state, run.sentence]).toEqual([
      "failed",
      `${link.siteA} could not authenticate with the new key: The peer refused the identity (AUTHENTICATION_FAILED). The old key is kept.`,
    ]);
    expect(run.steps.map((step) => [step.name, step.state])).toEqual([
      ["stage", "succeeded"],
      ["switch", "succeeded"],
      ["reauthenticate", "failed"],
      ["restore", "succeeded"],
      ["reauthenticate with the old key", "succeeded"],
      ["verify the old key", "succeeded"],
      ["drop the new key", "succeeded"],
    ]);
    expect((await credentials(link.linkId)).map((row) => [row.id === old?.id, row.state, row.secretId === null])).toEqual([
      [true, "active", false],
      [false, "retired", true],
    ]);
    expect(link.lockouts).toEqual([]);
  }, 60_000);
});

describe("retiring the old key", () => {
  it("waits for a gateway that is away, without a worker, and then goes on to the end", async () => {
    const faults: Faults = {};
    faults.onCommand = (name) => {
      if (name === "probe") faults.offline = ["Berlin"];
    };
    const link = await play(faults);
    const [old] = await credentials(link.linkId);
    const id = await newRun(link.linkId);
    await rotateLink(id);
    expect(await runWithSteps(id)).toMatchObject({ state: "running", direction: "forward", sentence: `Waits for ${link.siteB} to retire the old key.` });
    expect((await credentials(link.linkId)).map((row) => [row.state, row.secretId === null])).toEqual([
      ["withdrawn", false],
      ["active", false],
    ]);
    // Looking again changes nothing: a new revision at each look would keep the gateway behind for ever.
    const revisions = async () => (await database().gateway.findMany({ orderBy: { id: "asc" } })).map((gateway) => gateway.desiredRevision);
    const before = await revisions();
    await rotateLink(id);
    expect(await revisions()).toEqual(before);

    delete faults.onCommand;
    faults.offline = [];
    await expect.poll(() => JSON.stringify(link.applied("B")).includes(old?.id ?? "")).toBe(false);
    await rotateLink(id);
    expect((await runWithSteps(id)).state).toBe("succeeded");
    expect((await credentials(link.linkId)).map((row) => [row.state, row.secretId === null])).toEqual([
      ["retired", true],
      ["active", false],
    ]);
    expect(link.lockouts).toEqual([]);
  }, 60_000);
});
