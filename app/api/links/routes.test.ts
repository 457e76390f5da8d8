import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { auth } from "../../../server/auth/auth.ts";
import { createUser } from "../../../server/auth/create-user.ts";
import { database } from "../../../server/db/client.ts";
import { createSite } from "../../../server/sites/save-site.ts";
import { owner, startTestDatabase } from "../../../server/testing/database.ts";
import { createTestLink, linkFormOf } from "../../../server/testing/link-forms.ts";
import { GET as exportTrace } from "./[id]/trace/export/route.ts";
import { POST as preflight } from "./preflight/route.ts";

/* Routes with real sessions: only the place where Next keeps a request's headers is the test's. */

const current = vi.hoisted(() => ({ headers: new Headers() }));
vi.mock("next/headers", () => ({ headers: async () => current.headers }));

const cookies = new Map<string, string>();
let stop: () => Promise<void>;
let siteA: string;
let siteB: string;
let linkId: string;

beforeAll(async () => {
  ({ stop } = await startTestDatabase());
  process.env.CULVERT_SESSION_SECRET = "only for this test, 32 characters long";
  process.env.CULVERT_CONSOLE_URL = "http://localhost:8080";
  for (const role of ["owner", "operator", "viewer"] as const) cookies.set(role, await signedIn(role));
  siteA = (await createSite(owner, { name: "Amsterdam", networks: ["10.1.0.0/24"], address: "192.0.2.1" })).id;
  siteB = (await createSite(owner, { name: "Berlin", networks: ["10.2.0.0/24"], address: "198.51.100.1" })).id;
  linkId = await createTestLink(siteA, siteB);
});
afterAll(() => stop());
beforeEach(() => {
  current.headers = new Headers();
});

async function signedIn(role: "owner" | "operator" | "viewer"): Promise<string> {
  const [email, password] = [`${role}@example.test`, "correct horse battery"];
  await database().$transaction((tx) => createUser(tx, { name: role, email, password, role }));
  const answer = await auth().api.signInEmail({ body: { email, password }, asResponse: true });
  return answer.headers
    .getSetCookie()
    .map((cookie) => cookie.split(";")[0])
    .join("; ");
}

function as(role: string | null): void {
  current.headers = new Headers(role === null ? {} : { cookie: cookies.get(role) ?? "" });
}

describe("POST /api/links/preflight", () => {
  const post = (body: unknown, headers: Record<string, string> = { "content-type": "application/json" }) =>
    preflight(
      new Request("http://localhost:8080/api/links/preflight", { method: "POST", headers, body: typeof body === "string" ? body : JSON.stringify(body) }),
    );
  const form = (change: Record<string, unknown> = {}) =>
    linkFormOf(siteA, siteB, { name: "Another", networksA: ["10.11.0.0/24"], networksB: ["10.12.0.0/24"], ...change });

  it("answers nobody without a session, and no viewer or operator", async () => {
    expect((await post(form())).status).toBe(401);
    for (const role of ["viewer", "operator"]) {
      as(role);
      const answer = await post(form());
      expect([answer.status, await answer.json()]).toEqual([403, { error: expect.objectContaining({ message: expect.stringContaining(role) }) }]);
    }
  });

  it("says what the ends would agree on, is cached nowhere, and saves nothing", async () => {
    as("owner");
    const answer = await post(form());
    expect([answer.status, answer.headers.get("cache-control")]).toEqual([200, "no-store"]);
    expect(await answer.json()).toMatchObject({ outcome: "agreed", sentence: expect.stringContaining("Amsterdam and Berlin would agree on") });
    expect(await database().link.count()).toBe(1);
  });

  it("refuses what saving would refuse, at the field, and what is no JSON", async () => {
    as("owner");
    const refused = await post(form({ networksB: ["10.11.0.0/25"] }));
    expect([refused.status, await refused.json()]).toEqual([
      422,
      { error: expect.objectContaining({ fields: { networksB: expect.stringContaining("overlaps") } }) },
    ]);
    expect((await post("{")).status).toBe(422);
    expect((await post(form(), { "content-type": "text/plain" })).status).toBe(422);
    expect((await post(`"${"x".repeat(300_000)}"`)).status).toBe(422);
  });

  it("is answered 60 times a minute, then told when to come again", async () => {
    as("owner");
    let last = await post({});
    for (let asked = 0; asked < 61 && last.status !== 429; asked++) last = await post({});
    expect([last.status, await last.json()]).toEqual([429, { error: expect.objectContaining({ message: expect.stringMatching(/Try again in \d+ s/) }) }]);
  });
});

describe("GET /api/links/ID/trace/export", () => {
  const get = (site: string) =>
    exportTrace(new Request(`http://localhost:8080/api/links/${linkId}/trace/export?site=${site}`), { params: Promise.resolve({ id: linkId }) });

  it("answers nobody without a session, and no viewer", async () => {
    expect((await get(siteA)).status).toBe(401);
    as("viewer");
    expect((await get(siteA)).status).toBe(403);
  });

  it("tells an operator that the gateway is away, and no cache keeps that", async () => {
    as("operator");
    const answer = await get(siteA);
    expect([answer.status, answer.headers.get("cache-control")]).toEqual([409, "no-store"]);
    expect(await answer.json()).toMatchObject({ error: { message: expect.stringContaining("The gateway of Amsterdam is not connected") } });
  });
});
