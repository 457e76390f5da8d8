import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { database } from "../db/client.ts";
import { startTestDatabase } from "../testing/database.ts";
import { type Faults, type PlayedLink, playLink } from "../testing/played-gateways.ts";
import { abandonRotation, rotateLink } from "./rotate-link.ts";
import { backSteps, forwardSteps, type StepName } from "./steps.ts";

/*
 * A worker that dies at a boundary of a rotation: what it had written is there, what it was about to write is not. A trigger in the
 * database stands for the death, so nothing in the rotation knows of it.
 */

let stop: () => Promise<void>;
const played: PlayedLink[] = [];

beforeAll(async () => {
  ({ stop } = await startTestDatabase());
  await database().$executeRaw`CREATE TABLE death ("runId" text, boundary text)`;
  await database().$executeRaw`
    CREATE FUNCTION die_at_step() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF (TG_OP = 'INSERT' OR NEW.state <> 'running') AND EXISTS (SELECT 1 FROM death WHERE death."runId" = NEW."runId" AND boundary = lower(TG_OP) || ' ' || NEW.name) THEN
        RAISE EXCEPTION 'the hub dies here'; END IF;
      RETURN NEW; END $$`;
  await database().$executeRaw`CREATE TRIGGER death BEFORE INSERT OR UPDATE ON "RotationStep" FOR EACH ROW EXECUTE FUNCTION die_at_step()`;
  await database().$executeRaw`
    CREATE FUNCTION die_at_end() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF NEW.state NOT IN ('waiting', 'running') AND EXISTS (SELECT 1 FROM death WHERE death."runId" = NEW.id AND boundary = 'the end') THEN
        RAISE EXCEPTION 'the hub dies here'; END IF;
      RETURN NEW; END $$`;
  await database().$executeRaw`CREATE TRIGGER death BEFORE UPDATE ON "RotationRun" FOR EACH ROW EXECUTE FUNCTION die_at_end()`;
});
afterAll(async () => {
  await Promise.all(played.map((link) => link.stop()));
  await stop();
});

const boundariesOf = (names: readonly StepName[]) => names.flatMap((name) => [`insert ${name}`, `update ${name}`]);
const credentials = (linkId: string) => database().credential.findMany({ where: { linkId }, orderBy: { createdAt: "asc" } });

const dieAt = (id: string, boundary: string) => database().$executeRaw`INSERT INTO death VALUES (${id}, ${boundary})`;
const liveOn = (id: string) => database().$executeRaw`DELETE FROM death WHERE "runId" = ${id}`;

/** A rotation whose worker has died at `boundary`, as the next one will again. */
async function dead(boundary: string, faults: Faults) {
  const link = await playLink("psk", faults);
  played.push(link);
  const { name } = await database().link.findUniqueOrThrow({ where: { id: link.linkId } });
  const { id } = await database().rotationRun.create({ data: { linkId: link.linkId, linkName: name, kind: "psk", requestedBy: "Olga Owner" } });
  await dieAt(id, boundary);
  await expect(rotateLink(id)).rejects.toThrow(/the hub dies here/);
  return { link, id };
}

/** Rotates with a worker that dies at `boundary` and then with one that does not. */
async function rotateWithDeath(boundary: string, faults: Faults) {
  const { link, id } = await dead(boundary, faults);
  const between = await database().rotationRun.findUniqueOrThrow({ where: { id } });
  expect([between.state, between.holder]).toEqual(["running", null]);
  await liveOn(id);
  await rotateLink(id);
  const run = await database().rotationRun.findUniqueOrThrow({ where: { id }, include: { steps: true } });
  await link.stop();
  return { link, run, rows: (await credentials(link.linkId)).map((row) => [row.state, row.secretId === null]) };
}

describe.concurrent("a worker that dies on the way to the new key is followed by one that gets there", () => {
  it.each([...boundariesOf(forwardSteps), "the end"])(
    "%s",
    async (boundary) => {
      const { link, run, rows } = await rotateWithDeath(boundary, {});
      expect([run.state, run.direction, run.steps.map((step) => step.state)]).toEqual(["succeeded", "forward", forwardSteps.map(() => "succeeded")]);
      expect(rows).toEqual([
        ["retired", true],
        ["active", false],
      ]);
      expect(link.lockouts).toEqual([]);
    },
    90_000,
  );
});

describe.concurrent("a worker that dies on the way back to the old key is followed by one that gets there", () => {
  it.each(["update reauthenticate", ...boundariesOf(backSteps), "the end"])(
    "%s",
    async (boundary) => {
      const { link, run, rows } = await rotateWithDeath(boundary, { reauthentication: "refused" });
      expect([run.state, run.direction]).toEqual(["failed", "rollingBack"]);
      expect(run.sentence).toBe(
        `${link.siteA} could not authenticate with the new key: The peer refused the identity (AUTHENTICATION_FAILED). The old key is kept.`,
      );
      expect(rows).toEqual([
        ["active", false],
        ["retired", true],
      ]);
      expect(link.lockouts).toEqual([]);
    },
    90_000,
  );
});

describe("a run that every worker died of", () => {
  const runOf = (id: string) => database().rotationRun.findUniqueOrThrow({ where: { id }, include: { steps: { orderBy: { position: "asc" } } } });
  const keyStates = async (link: PlayedLink) => (await credentials(link.linkId)).map((row) => row.state);

  it("goes back to the old key and says so only then, even when the worker that gives it up dies on the way back", async () => {
    const { link, id } = await dead("update reauthenticate", {});
    expect(await keyStates(link)).toEqual(["retiring", "active"]);
    await liveOn(id);
    await dieAt(id, "insert restore");
    await expect(abandonRotation(id)).rejects.toThrow(/the hub dies here/);
    expect(await runOf(id)).toMatchObject({ state: "running", direction: "rollingBack" });
    expect((await runOf(id)).steps.at(-1)).toMatchObject({ name: "reauthenticate", state: "failed" });
    await liveOn(id);
    await rotateLink(id);
    expect(await runOf(id)).toMatchObject({
      state: "failed",
      sentence: "A fault in the hub kept the rotation from going on; the hub's log has it. The old key is kept.",
    });
    expect(await keyStates(link)).toEqual(["active", "retired"]);
    expect(link.lockouts).toEqual([]);
  }, 90_000);

  it.each(["update withdraw", "insert destroy", "update destroy"])(
    "never goes back once the old key may be forgotten: %s",
    async (boundary) => {
      const { link, id } = await dead(boundary, {});
      await abandonRotation(id);
      expect(await runOf(id)).toMatchObject({
        state: "running",
        direction: "forward",
        sentence: "A fault in the hub keeps the rotation from going on; the hub's log has it. It is tried again.",
      });
      await liveOn(id);
      await rotateLink(id);
      expect((await runOf(id)).state).toBe("succeeded");
      expect(await keyStates(link)).toEqual(["retired", "active"]);
      expect(link.lockouts).toEqual([]);
    },
    90_000,
  );
});
