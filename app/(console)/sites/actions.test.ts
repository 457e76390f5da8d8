import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { auth } from "../../../server/auth/auth.ts";
import { createUser } from "../../../server/auth/create-user.ts";
import { database } from "../../../server/db/client.ts";
import { createSite } from "../../../server/sites/save-site.ts";
import { owner, startTestDatabase } from "../../../server/testing/database.ts";
import { saveWorkers } from "./actions.ts";

/* Actions with real sessions: only the places where Next keeps a request's headers and its cache are the test's. */

const current = vi.hoisted(() => ({ headers: new Headers() }));
vi.mock("next/headers", () => ({ headers: async () => current.headers }));
vi.mock("next/cache", () => ({ revalidatePath: () => undefined }));

let stop: () => Promise<void>;
let siteId: string;

beforeAll(async () => {
  ({ stop } = await startTestDatabase());
  process.env.CULVERT_SESSION_SECRET = "only for this test, 32 characters long";
  process.env.CULVERT_CONSOLE_URL = "http://localhost:8080";
  siteId = (await createSite(owner, { name: "Amsterdam", networks: ["10.1.0.0/24"], address: "192.0.2.1" })).id;
});
afterAll(() => stop());

async function signIn(role: "owner" | "operator" | "viewer"): Promise<void> {
  const [email, password] = [`${role}@example.test`, "correct horse battery"];
  await database().$transaction((tx) => createUser(tx, { name: role, email, password, role }));
  const answer = await auth().api.signInEmail({ body: { email, password }, asResponse: true });
  const cookie = answer.headers.getSetCookie().map((each) => each.split(";")[0]);
  current.headers = new Headers({ cookie: cookie.join("; ") });
}

const wanted = async () => {
  const { outboundWorkers, inboundWorkers } = await database().gateway.findUniqueOrThrow({ where: { siteId } });
  return [outboundWorkers, inboundWorkers];
};

describe("the action that sets a gateway's workers", () => {
  it("does nothing without a session", async () => {
    current.headers = new Headers();
    expect(await saveWorkers(siteId, { outbound: 2, inbound: 2 })).toMatchObject({ ok: false, message: "You are not signed in." });
    expect(await wanted()).toEqual([1, 1]);
  });

  it.each(["viewer", "operator"] as const)("does nothing for the role %s", async (role) => {
    await signIn(role);
    expect(await saveWorkers(siteId, { outbound: 2, inbound: 2 })).toMatchObject({ ok: false, message: expect.stringContaining(role) });
    expect(await wanted()).toEqual([1, 1]);
  });

  it("saves what an owner sent, and answers what is wrong at the field", async () => {
    await signIn("owner");
    expect(await saveWorkers(siteId, { outbound: 99, inbound: 2 })).toMatchObject({ ok: false, fields: { outbound: "A whole number from 1 to 16." } });
    expect(await wanted()).toEqual([1, 1]);
    expect(await saveWorkers(siteId, { outbound: 3, inbound: 2 })).toEqual({ ok: true, value: undefined });
    expect(await wanted()).toEqual([3, 2]);
  });
});
