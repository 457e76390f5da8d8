import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { database } from "../db/client.ts";
import { createLink } from "../links/save-link.ts";
import { presets } from "../links/presets.ts";
import { createSite } from "../sites/save-site.ts";
import { authenticationOf } from "../testing/authentication-of.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { type Faults, type PlayedLink, playLink } from "../testing/played-gateways.ts";
import { abandonRotation, rotateLink } from "./rotate-link.ts";
import { startRotationWorker } from "./worker.ts";

let server: Awaited<ReturnType<typeof startTestDatabase>>;
const played: PlayedLink[] = [];

beforeAll(async () => {
  server = await startTestDatabase();
});
afterAll(async () => {
  await Promise.all(played.map((link) => link.stop()));
  await server.stop();
});

async function play(method: "psk" | "certificate", faults?: Faults, secret?: string): Promise<PlayedLink> {
  const link = await playLink(method, faults, secret);
  played.push(link);
  return link;
}

async function newRun(linkId: string, more: { dryRun?: boolean; kind?: "psk" | "certificate" } = {}) {
  const link = await database().link.findUniqueOrThrow({ where: { id: linkId } });
  return database().rotationRun.create({ data: { linkId, linkName: link.name, kind: "psk", requestedBy: "Olga Owner", ...more } });
}

const runWithSteps = (id: string) => database().rotationRun.findUniqueOrThrow({ where: { id }, include: { steps: { orderBy: { position: "asc" } } } });

async function rotateNow(linkId: string, more?: Parameters<typeof newRun>[1]) {
  const { id } = await newRun(linkId, more);
  await rotateLink(id);
  return runWithSteps(id);
}

const credentials = (linkId: string) => database().credential.findMany({ where: { linkId }, orderBy: [{ createdAt: "asc" }, { end: "asc" }] });
const activeIds = async (linkId: string) => (await credentials(linkId)).filter((row) => row.state === "active").map((row) => row.id);

describe("a rotation that succeeds", () => {
  it("replaces a pre-shared key step by step and destroys the old one's secret", async () => {
    const { linkId } = await play("psk");
    const [before] = await credentials(linkId);
    const run = await rotateNow(linkId);
    expect(run.sentence).toContain("was replaced");
    expect(run.state).toBe("succeeded");
    expect(run.steps.map((step) => [step.name, step.state])).toEqual(
      ["stage", "switch", "reauthenticate", "verify", "withdraw", "destroy"].map((name) => [name, "succeeded"]),
    );
    const [old, fresh, ...others] = await credentials(linkId);
    expect(others).toEqual([]);
    expect(old).toMatchObject({ id: before?.id, state: "retired", secretId: null });
    expect(fresh?.state).toBe("active");
    expect(fresh?.fingerprint).not.toBe(old?.fingerprint);
    expect([run.oldFingerprint, run.newFingerprint]).toEqual([old?.fingerprint, fresh?.fingerprint]);
    expect(await database().secret.findUnique({ where: { id: before?.secretId ?? "" } })).toBeNull();
    expect(await database().event.count({ where: { resource: "rotation", resourceId: run.id, verb: "rotated" } })).toBe(1);
  });

  it("replaces both ends' certificates", async () => {
    const { linkId } = await play("certificate");
    const before = await activeIds(linkId);
    expect((await rotateNow(linkId, { kind: "certificate" })).state).toBe("succeeded");
    const rows = await credentials(linkId);
    expect(rows.filter((row) => before.includes(row.id)).map((row) => [row.end, row.state])).toEqual([
      ["A", "retired"],
      ["B", "retired"],
    ]);
    expect(rows.filter((row) => row.state === "active").map((row) => row.end)).toEqual(["A", "B"]);
    expect(rows).toHaveLength(4);
  });
});

describe.concurrent("a rotation that fails keeps the old key", () => {
  const failures: [string, Faults, string, RegExp][] = [
    ["a gateway refuses the new key", { refuses: { site: "Berlin", reason: "out of memory" } }, "stage", /Berlin \d+ refused the new key: out of memory/],
    ["a gateway is away", { offline: ["Berlin"] }, "stage", /the gateway of Berlin \d+ is not connected/],
    ["the peer refuses the new key", { reauthentication: "refused" }, "reauthenticate", /AUTHENTICATION_FAILED/],
    ["the tunnel stays on the old key", { keepsOldSa: true }, "verify", /did not report a tunnel with the new key/],
    ["no echo passes under the new key", { echoes: "lost" }, "verify", /No echo passed/],
  ];
  for (const [what, faults, failingStep, sentence] of failures) {
    for (const method of ["psk", "certificate"] as const) {
      it(`when ${what} (${method})`, async () => {
        const { linkId } = await play(method, faults);
        const before = await activeIds(linkId);
        const run = await rotateNow(linkId, { kind: method });
        expect(run.sentence).toMatch(sentence);
        expect(run.sentence).toContain("The old key is kept.");
        expect([run.state, run.steps.find((step) => step.state === "failed")?.name]).toEqual(["failed", failingStep]);
        expect([run.steps.at(-1)?.name, run.steps.at(-1)?.state]).toEqual(["drop the new key", "succeeded"]);
        expect(await activeIds(linkId)).toEqual(before);
        const rest = (await credentials(linkId)).filter((row) => row.state !== "active");
        expect(rest.map((row) => [row.state, row.secretId])).toEqual(before.map(() => ["retired", null]));
        const told = await authenticationOf(linkId, "A");
        expect(told.method === "psk" ? told.keys.map((key) => key.id) : told.certificates.map((certificate) => certificate.id)).toEqual([told.use]);
      }, 60_000);
    }
  }
});

describe("a run that only looks, or cannot be done", () => {
  it("a dry run says what would happen and changes nothing", async () => {
    const { linkId } = await play("psk");
    await expect.poll(async () => (await rotateNow(linkId, { dryRun: true })).state).toBe("succeeded");
    expect(await credentials(linkId)).toHaveLength(1);
    const broken = await play("psk", { offline: ["Berlin"] });
    const run = await rotateNow(broken.linkId, { dryRun: true });
    expect([run.state, run.steps]).toEqual(["failed", []]);
    expect(run.sentence).toContain(broken.siteB);
    expect(await credentials(broken.linkId)).toHaveLength(1);
  });

  it("skips a pre-shared key that a third party holds, and says why", async () => {
    const site = await createSite(owner, { name: "Alone", networks: ["10.250.0.0/24"], address: "203.0.113.1" });
    const [preset] = presets;
    const { id } = await createLink(owner, {
      name: "Partner link",
      siteAId: site.id,
      peer: { kind: "third-party", name: "Partner", address: "203.0.113.9", identity: "203.0.113.9" },
      networksA: ["10.250.0.0/24"],
      networksB: ["10.251.0.0/24"],
      preset: preset?.id,
      method: "psk",
      secret: null,
      ikeProposals: preset?.ikeProposals,
      espProposals: preset?.espProposals,
      ikeRekeySeconds: 14_400,
      espRekeySeconds: 3_600,
      livenessSeconds: 10,
    });
    const run = await rotateNow(id);
    expect(run.state).toBe("skipped");
    expect(run.sentence).toContain("not a gateway of ours");
    expect((await credentials(id)).map((row) => row.state)).toEqual(["active"]);
  });
});

describe("a hub that dies in the middle", () => {
  it("is followed by one that goes on where it was, with the same new key", async () => {
    const { linkId } = await play("psk");
    const { id } = await newRun(linkId);
    // The fault stands for the death: what was written is there, what comes next is not.
    await database().$executeRaw`
      CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the hub dies here'; END $$`;
    await database().$executeRaw`CREATE TRIGGER fault BEFORE INSERT ON "GatewayCommand" FOR EACH ROW EXECUTE FUNCTION fault()`;
    try {
      await expect(rotateLink(id)).rejects.toThrow();
    } finally {
      await database().$executeRaw`DROP TRIGGER fault ON "GatewayCommand"`;
    }
    const [, staged] = await credentials(linkId);
    const interrupted = await runWithSteps(id);
    expect([interrupted.state, interrupted.steps.map((step) => step.state)]).toEqual(["running", ["succeeded", "succeeded", "running"]]);

    await rotateLink(id);
    const resumed = await runWithSteps(id);
    expect(resumed.state).toBe("succeeded");
    expect(resumed.steps[0]?.finishedAt).toEqual(interrupted.steps[0]?.finishedAt);
    expect((await credentials(linkId)).map((row) => [row.id === staged?.id, row.state])).toEqual([
      [false, "retired"],
      [true, "active"],
    ]);
  });

  it("never makes a success of a failure: the old key had been put back when it died", async () => {
    const faults: Faults = { reauthentication: "refused" };
    const { linkId } = await play("psk", faults);
    const before = await activeIds(linkId);
    const { id } = await rotateNow(linkId);
    await database().rotationRun.update({ where: { id }, data: { state: "running", finishedAt: null } });
    // The old key would work now: done again, the failed step would pass with it.
    delete faults.reauthentication;
    await rotateLink(id);
    const run = await runWithSteps(id);
    expect(run.state).toBe("failed");
    expect(run.sentence).toContain("AUTHENTICATION_FAILED");
    expect(await activeIds(linkId)).toEqual(before);
  });

  it("gives up with the old key in use when faults do not end", async () => {
    const { linkId } = await play("psk");
    const before = await activeIds(linkId);
    const { id } = await newRun(linkId);
    await database().rotationRun.update({ where: { id }, data: { state: "running" } });
    await abandonRotation(id);
    expect((await runWithSteps(id)).state).toBe("failed");
    expect(await activeIds(linkId)).toEqual(before);
  });
});

describe("two hubs at once", () => {
  it("do each run once, and the runs of one link one after the other", async () => {
    const { linkId } = await play("psk");
    const lines: string[] = [];
    const workers = await Promise.all([1, 2].map(() => startRotationWorker({ log: (line) => lines.push(line) })));
    try {
      const ids = [(await newRun(linkId)).id, (await newRun(linkId)).id];
      await expect
        .poll(async () => (await Promise.all(ids.map(runWithSteps))).map((run) => run.state), { timeout: 25_000 })
        .toEqual(["succeeded", "succeeded"]);
      const [first, second] = (await Promise.all(ids.map(runWithSteps))).toSorted((x, y) => Number(x.startedAt) - Number(y.startedAt));
      expect(Number(first?.finishedAt)).toBeLessThanOrEqual(Number(second?.startedAt));
      const reauthentications = (await database().gatewayCommand.findMany({ where: { linkId } })).filter((row) =>
        JSON.stringify(row.command).includes("reauthenticate"),
      );
      expect(reauthentications).toHaveLength(2);
      expect((await credentials(linkId)).map((row) => row.state)).toEqual(["retired", "retired", "active"]);
      expect(lines).toEqual([]);
    } finally {
      await Promise.all(workers.map((worker) => worker.close()));
    }
  }, 60_000);
});

describe("secrets", () => {
  it("old and new keys are in no row of any table, of jobs neither", async () => {
    const planted = "planted-key-that-must-not-be-found-1234567890";
    const psk = await play("psk", {}, planted);
    const certificate = await play("certificate");
    const broken = await play("psk", { reauthentication: "refused" });
    const secrets = [planted, ...(await secretsOf(certificate.linkId))];
    const runs = await Promise.all([rotateNow(psk.linkId), rotateNow(certificate.linkId, { kind: "certificate" }), rotateNow(broken.linkId)]);
    expect(runs.map((run) => run.state)).toEqual(["succeeded", "succeeded", "failed"]);
    for (const { linkId } of [psk, certificate, broken]) secrets.push(...(await secretsOf(linkId)));
    const dump = await textOfEveryTable();
    // The dump does hold what it should, so that an empty one is not taken for a clean one.
    expect(dump).toContain(runs[0]?.newFingerprint);
    for (const secret of secrets)
      for (const form of [secret, Buffer.from(secret).toString("hex"), Buffer.from(secret).toString("base64").replace(/=+$/, "")])
        expect(dump.includes(form), "a secret is in the database in clear").toBe(false);
  });
});

async function secretsOf(linkId: string): Promise<string[]> {
  const both = await Promise.all([authenticationOf(linkId, "A"), authenticationOf(linkId, "B")]);
  const sources = both.flatMap((told) => (told.method === "psk" ? told.keys.map((key) => key.secret) : told.certificates.map((row) => row.privateKey)));
  // Of a private key one line of its base64, because a dump shows line ends in its own way.
  return sources.filter((source) => typeof source === "string").map((source) => (source.startsWith("-----") ? (source.split("\n")[2] ?? source) : source));
}

async function textOfEveryTable(): Promise<string> {
  const client = new Client({ connectionString: server.url });
  await client.connect();
  try {
    const tables = await client.query("SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'pgboss')");
    const texts: string[] = [];
    for (const { schemaname, tablename } of tables.rows) {
      const rows = await client.query(`SELECT t::text AS line FROM "${schemaname}"."${tablename}" t`);
      texts.push(...rows.rows.map((row) => String(row.line)));
    }
    return texts.join("\n");
  } finally {
    await client.end();
  }
}
