import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exportEvents, listEventActors, listEvents, recentEvents } from "../audit/list-events.ts";
import { exportTrace } from "../commands/export-trace.ts";
import { runLinkCommand } from "../commands/run-command.ts";
import { Forbidden, Refusal } from "../errors.ts";
import { deleteImportedCertificate, importCertificate, listImportedCertificates } from "../keys/import-certificate.ts";
import { reissueCertificate, revokeCertificate } from "../keys/revoke-certificate.ts";
import { listKeys } from "../keys/list-keys.ts";
import { listRevoked } from "../keys/list-revoked.ts";
import { explainLink } from "../links/explain-link.ts";
import { listLinkNames, listLinks } from "../links/list-links.ts";
import { preflightEdit, preflightLink } from "../links/preflight-link.ts";
import { previewEdit, previewLink } from "../links/preview-link.ts";
import { readLink, readLinkSettings, readTrace, readVersions } from "../links/read-link.ts";
import { createLink, deleteLink, editLink, rollbackLink, setLinkEnabled } from "../links/save-link.ts";
import { readOverview } from "../overview/read-overview.ts";
import { readSeries } from "../reports/read-series.ts";
import { giveUpRun } from "../rotation/give-up.ts";
import { replaceImported } from "../rotation/replace-import.ts";
import { requestLinkRun, requestScheduledRuns } from "../rotation/request-run.ts";
import { deleteSchedule, listRotations, pauseSchedule, saveSchedule } from "../rotation/schedules.ts";
import { createEnrolmentToken, revokeGateway } from "../sites/enrolment.ts";
import { setGatewayWorkers } from "../sites/gateway-workers.ts";
import { listSites, readSite } from "../sites/list-sites.ts";
import { createSite, deleteSite, updateSite } from "../sites/save-site.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import type { Actor } from "./actor.ts";
import { addUser, listUsers, setUserDisabled, setUserRole } from "./users.ts";

const everyone = ["viewer", "operator", "owner"] as const;
const operators = ["operator", "owner"] as const;
const owners = ["owner"] as const;
type Roles = typeof everyone | typeof operators | typeof owners;

/** Nothing is there under it, so that whoever is allowed changes nothing. */
const id = "00000000-0000-4000-8000-000000000000";

/** Who may call what: every exported function that takes an actor. */
const matrix: Readonly<Record<string, readonly [Roles, (actor: Actor) => Promise<unknown>]>> = {
  exportEvents: [everyone, (actor) => exportEvents(actor, {}).next()],
  listEventActors: [everyone, listEventActors],
  listEvents: [everyone, (actor) => listEvents(actor, {})],
  recentEvents: [everyone, (actor) => recentEvents(actor, 1)],
  listKeys: [everyone, listKeys],
  listRevoked: [everyone, listRevoked],
  listImportedCertificates: [everyone, listImportedCertificates],
  listLinkNames: [everyone, listLinkNames],
  listLinks: [everyone, (actor) => listLinks(actor, {})],
  readLink: [everyone, (actor) => readLink(actor, id)],
  readTrace: [everyone, (actor) => readTrace(actor, id)],
  explainLink: [everyone, (actor) => explainLink(actor, id)],
  readVersions: [everyone, (actor) => readVersions(actor, id)],
  readOverview: [everyone, readOverview],
  readSeries: [everyone, (actor) => readSeries(actor, null, "1h")],
  listRotations: [everyone, listRotations],
  listSites: [everyone, listSites],
  readSite: [everyone, (actor) => readSite(actor, id)],
  listUsers: [everyone, listUsers],

  exportTrace: [operators, (actor) => exportTrace(actor, id, id)],
  runLinkCommand: [operators, (actor) => runLinkCommand(actor, { name: "restart", linkId: id })],
  giveUpRun: [operators, (actor) => giveUpRun(actor, id)],
  requestLinkRun: [operators, (actor) => requestLinkRun(actor, id, false)],
  requestScheduledRuns: [operators, (actor) => requestScheduledRuns(actor, id, false)],

  previewLink: [owners, (actor) => previewLink(actor, {})],
  preflightLink: [owners, (actor) => preflightLink(actor, {})],
  importCertificate: [owners, (actor) => importCertificate(actor, {})],
  deleteImportedCertificate: [owners, (actor) => deleteImportedCertificate(actor, id)],
  createLink: [owners, (actor) => createLink(actor, {})],
  readLinkSettings: [owners, (actor) => readLinkSettings(actor, id)],
  previewEdit: [owners, (actor) => previewEdit(actor, id, {})],
  preflightEdit: [owners, (actor) => preflightEdit(actor, id, {})],
  editLink: [owners, (actor) => editLink(actor, id, {})],
  setLinkEnabled: [owners, (actor) => setLinkEnabled(actor, id, false)],
  replaceImported: [owners, (actor) => replaceImported(actor, id, { certificateId: id })],
  rollbackLink: [owners, (actor) => rollbackLink(actor, id, 1)],
  deleteLink: [owners, (actor) => deleteLink(actor, id)],
  pauseSchedule: [owners, (actor) => pauseSchedule(actor, id, true)],
  deleteSchedule: [owners, (actor) => deleteSchedule(actor, id)],
  saveSchedule: [owners, (actor) => saveSchedule(actor, null, {})],
  createEnrolmentToken: [owners, (actor) => createEnrolmentToken(actor, id)],
  revokeCertificate: [owners, (actor) => revokeCertificate(actor, id)],
  reissueCertificate: [owners, (actor) => reissueCertificate(actor, id)],
  revokeGateway: [owners, (actor) => revokeGateway(actor, id)],
  createSite: [owners, (actor) => createSite(actor, {})],
  updateSite: [owners, (actor) => updateSite(actor, id, {})],
  deleteSite: [owners, (actor) => deleteSite(actor, id)],
  setGatewayWorkers: [owners, (actor) => setGatewayWorkers(actor, id, { outbound: 2, inbound: 2 })],
  addUser: [owners, (actor) => addUser(actor, {})],
  setUserDisabled: [owners, (actor) => setUserDisabled(actor, id, true)],
  setUserRole: [owners, (actor) => setUserRole(actor, id, "owner")],
};

/** What takes an actor and is itself the check. */
const checks = ["authorize", "may"];

/** What pages and routes may use of the server besides: nothing in it tells or changes anything that a role guards. */
const withoutActor: Readonly<Record<string, string>> = {
  authorize: "the check itself",
  may: "which buttons to show",
  auth: "better-auth's handler: signing in",
  actorOf: "makes the actor of a session",
  needsSetup: "whether there is any user",
  completeSetup: "asks for the setup code",
  subscribe: "says which resource changed, never its content; its route asks for a session",
  database: "the health check's SELECT 1",
  setting: "the environment",
  eventKinds: "constant",
  presets: "constant",
  linkConfig: "constant: the schema of a link",
  peerAddressProblem: "looks at one text",
  choiceProblems: "looks at the fields of a form",
  nextRuns: "arithmetic; its route asks for a session",
  Conflict: "error",
  Forbidden: "error",
  Invalid: "error",
  NotFound: "error",
  Refusal: "error",
  TooMany: "error",
  Unauthenticated: "error",
};

const root = new URL("../../", import.meta.url);
let stop: () => Promise<void>;

beforeAll(async () => {
  ({ stop } = await startTestDatabase());
});
afterAll(() => stop());

describe("the role matrix", () => {
  it("has a row for every exported function that takes an actor, and no other row", async () => {
    const taking = (await serverFunctions()).filter(({ parameters }) => /^\s*actor\b/.test(parameters)).map(({ name }) => name);
    expect(taking.toSorted()).toEqual([...Object.keys(matrix), ...checks].toSorted());
  });

  for (const [name, [allowed, call]] of Object.entries(matrix)) {
    for (const role of everyone) {
      const isAllowed = allowed.some((each) => each === role);
      it(`${isAllowed ? "lets" : "does not let"} ${role} ${name}`, async () => {
        const outcome = await call({ ...owner, userId: role, role }).then(
          () => null,
          (error: unknown) => error,
        );
        // Whoever is allowed is answered, or refused for what was asked; a fault is neither.
        if (isAllowed) expect(outcome === null || (outcome instanceof Refusal && !(outcome instanceof Forbidden)), String(outcome)).toBe(true);
        else expect(outcome).toBeInstanceOf(Forbidden);
      });
    }
  }

  it("covers all that pages and routes use of the server", async () => {
    const known = new Set([...Object.keys(matrix), ...Object.keys(withoutActor)]);
    const names = await namesUsedByApp();
    expect(names.length).toBeGreaterThan(40);
    expect(names.filter(({ name }) => !known.has(name))).toEqual([]);
  });
});

interface ServerFunction {
  readonly file: string;
  readonly name: string;
  readonly parameters: string;
}

/** Every exported function of the server's sources, with the text of its parameters. */
async function serverFunctions(): Promise<ServerFunction[]> {
  const found: ServerFunction[] = [];
  for (const file of await sources("server", (name) => !name.endsWith(".test.ts") && !name.startsWith("testing/"))) {
    const text = await readFile(new URL(file, root), "utf8");
    for (const match of text.matchAll(/^export (?:async )?function\*? ?(\w+)(?:<[^>]*>)?\(([^)]*)/gm))
      found.push({ file, name: match[1] ?? "", parameters: match[2] ?? "" });
    for (const match of text.matchAll(/^export const (\w+) = (?:async )?\(([^)]*)\)[^=]*=>/gm))
      found.push({ file, name: match[1] ?? "", parameters: match[2] ?? "" });
  }
  return found;
}

/** What is imported by value from `server/` under `app/` and in the proxy; of a namespace import, the members used. */
async function namesUsedByApp(): Promise<{ file: string; name: string }[]> {
  const used: { file: string; name: string }[] = [];
  for (const file of [...(await sources("app", (name) => !/\.test\.tsx?$/.test(name))), "proxy.ts"]) {
    const text = await readFile(new URL(file, root), "utf8");
    for (const match of text.matchAll(/^import (type )?(\*\s+as\s+(\w+)|\{([^}]*)\})\s+from "(?:\.\.?\/)+server\/[^"]+";/gm)) {
      if (match[1] !== undefined) continue;
      const namespace = match[3];
      if (namespace !== undefined) {
        for (const member of text.matchAll(new RegExp(`(?<![/\\w])${namespace}\\.(\\w+)`, "g"))) used.push({ file, name: member[1] ?? "" });
        continue;
      }
      for (const part of (match[4] ?? "").split(",")) {
        const name = part.trim().split(" as ")[0]?.trim() ?? "";
        if (name !== "" && !name.startsWith("type ")) used.push({ file, name });
      }
    }
    // No import of another shape escapes the expressions above.
    const all = text.match(/(from|import\()\s*"(?:\.\.?\/)+server\//g)?.length ?? 0;
    const seen = text.match(/^import (type )?(\*\s+as\s+\w+|\{[^}]*\})\s+from "(?:\.\.?\/)+server\//gm)?.length ?? 0;
    if (all !== seen) throw new Error(`${file} imports from server/ in a way that this test does not read.`);
  }
  return used;
}

async function sources(folder: string, accept: (name: string) => boolean): Promise<string[]> {
  const names = await readdir(fileURLToPath(new URL(folder, root)), { recursive: true });
  return names.filter((name) => /\.tsx?$/.test(name) && accept(name)).map((name) => `${folder}/${name}`);
}
