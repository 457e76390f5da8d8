import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { database } from "../db/client.ts";
import { Conflict, Forbidden, NotFound } from "../errors.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { type Faults, type PlayedLink, playLink } from "../testing/played-gateways.ts";
import { giveUpRun } from "./give-up.ts";
import { takeLease } from "./lease.ts";
import { rotateLink } from "./rotate-link.ts";
import { listRotations } from "./schedules.ts";

const operator = { ...owner, userId: "operator", name: "Otto Operator", role: "operator" as const };
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
const states = async (linkId: string) =>
  (await database().credential.findMany({ where: { linkId }, orderBy: { createdAt: "asc" } })).map((row) => [row.state, row.secretId === null]);
const abandoned = (id: string) => database().event.findFirstOrThrow({ where: { resourceId: id, verb: "abandoned" } });

describe("giving a rotation up", () => {
  it("that is going back and waits for a gateway that is away ends with the old key, and that gateway takes it when it returns", async () => {
    const faults: Faults = { reauthentication: "refused" };
    faults.onCommand = () => {
      faults.offline = ["Amsterdam"];
    };
    const link = await play(faults);
    const id = await newRun(link.linkId);
    await rotateLink(id);
    expect((await listRotations(operator)).runs.find((run) => run.id === id)).toMatchObject({ outcome: "running", isWaiting: true });

    const { sentence } = await giveUpRun(operator, id);
    expect(sentence).toContain(`Given up by Otto Operator. The old key is kept. ${link.siteA} never confirmed that it uses the old key again.`);
    const run = await runWithSteps(id);
    expect([run.state, run.sentence]).toEqual(["failed", sentence]);
    expect(run.steps.at(-1)).toMatchObject({ name: "give up", state: "succeeded", message: sentence });
    expect(run.steps.filter((step) => step.state === "running")).toEqual([]);
    expect(await abandoned(id)).toMatchObject({ actorId: "operator", actorName: "Otto Operator" });
    expect(await states(link.linkId)).toEqual([
      ["active", false],
      ["retired", true],
    ]);

    delete faults.onCommand;
    delete faults.reauthentication;
    faults.offline = [];
    const [old] = await database().credential.findMany({ where: { linkId: link.linkId, state: "active" } });
    await expect.poll(() => link.applied("A").use).toBe(old?.id);
    // The next rotation finds nothing in its way.
    const next = await newRun(link.linkId);
    await rotateLink(next);
    expect((await runWithSteps(next)).state).toBe("succeeded");
  }, 60_000);

  it("that waits for a gateway to forget the old key ends with the new one", async () => {
    const faults: Faults = {};
    faults.onCommand = (name) => {
      if (name === "probe") faults.offline = ["Berlin"];
    };
    const link = await play(faults);
    const id = await newRun(link.linkId);
    await rotateLink(id);
    const { sentence } = await giveUpRun(operator, id);
    expect(sentence).toBe(
      `Given up by Otto Operator. The new key is in use and the old one is destroyed. ${link.siteB} never confirmed that it has forgotten the old key.`,
    );
    expect((await runWithSteps(id)).state).toBe("failed");
    expect(await states(link.linkId)).toEqual([
      ["retired", true],
      ["active", false],
    ]);
  }, 60_000);

  it("that has not begun changes no key", async () => {
    const link = await play();
    const id = await newRun(link.linkId);
    expect(await giveUpRun(operator, id)).toEqual({ sentence: "Given up by Otto Operator. No key was changed." });
    expect((await runWithSteps(id)).state).toBe("skipped");
    expect(await states(link.linkId)).toEqual([["active", false]]);
    await expect(giveUpRun(operator, id)).rejects.toBeInstanceOf(Conflict);
  });

  it("is refused while a hub works on it, to viewers, and for one that is not there", async () => {
    const link = await play();
    const id = await newRun(link.linkId);
    const lease = await takeLease(id);
    await expect(giveUpRun(operator, id)).rejects.toThrow("A hub is working on this link's keys");
    await lease?.release();
    await expect(giveUpRun({ ...operator, role: "viewer" }, id)).rejects.toBeInstanceOf(Forbidden);
    await expect(giveUpRun(operator, "none")).rejects.toBeInstanceOf(NotFound);
  });
});
