import { afterAll, beforeAll, expect, it } from "vitest";
import { database } from "../db/client.ts";
import { createSite } from "../sites/save-site.ts";
import { owner, startTestDatabase } from "../testing/database.ts";
import { readOverview } from "./read-overview.ts";

let stop: () => Promise<void>;

beforeAll(async () => {
  ({ stop } = await startTestDatabase());
});
afterAll(() => stop());

it("says how far the setting up has come: sites, those with an enrolled gateway, and no links yet", async () => {
  expect((await readOverview(owner)).sites).toEqual({ total: 0, enrolled: 0 });
  const { id } = await createSite(owner, { name: "Amsterdam", networks: ["10.1.0.0/24"], address: "192.0.2.1" });
  await createSite(owner, { name: "Berlin", networks: ["10.2.0.0/24"], address: "" });
  await database().gateway.update({ where: { siteId: id }, data: { enrolledAt: new Date() } });
  const overview = await readOverview(owner);
  expect([overview.sites, overview.links]).toEqual([{ total: 2, enrolled: 1 }, {}]);
});
