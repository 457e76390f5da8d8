import { readFile, readdir } from "node:fs/promises";
import AxeBuilder from "@axe-core/playwright";
import { type BrowserContext, expect, type Page, test } from "@playwright/test";
import { makeThreeNamespaces, sweepLeftovers, type ThreeNamespaces } from "../lib/namespaces.ts";
import { startPing } from "../lib/traffic.ts";
import { type ConsoleUnderTest, startConsoleUnderTest } from "./console-under-test.ts";
import { childSpis, type EnrolledGateway } from "./enrolled-gateway.ts";
import { addUser, admin, createLink, enrol, expectOverview, next, rotateNow, sitePath, tunnelStatus } from "./steps.ts";

/*
 * The whole story, as a new admin lives it, against real parts: console, hub and Postgres as `npm start` runs them, two gateways
 * in network namespaces, a browser. Each test goes on where the one before ended.
 */
test.describe.configure({ mode: "serial" });

/** A key that is typed in once and must be seen nowhere again. */
const plantedKey = "planted-PSK-b7e1d5c3a9";
let console_: ConsoleUnderTest;
let net: ThreeNamespaces;
let context: BrowserContext;
let page: Page;
const gateways = new Map<string, EnrolledGateway>();
let linkPath = "";

test.beforeAll(async ({ browser }) => {
  sweepLeftovers("cve");
  net = await makeThreeNamespaces("cve");
  console_ = await startConsoleUnderTest();
  context = await browser.newContext({ baseURL: console_.url });
  page = await context.newPage();
});

test.afterAll(async () => {
  await context?.close();
  for (const gateway of gateways.values()) await gateway.stop();
  await console_?.remove();
  net?.remove();
});

test("sets the console up with the code that the server printed", async () => {
  await page.goto("/");
  await expect(page.getByRole("heading", { level: 1, name: "Set up Culvert" })).toBeVisible();
  await page.getByLabel("Setup code").fill("wrong-code");
  await page.getByLabel("Name").fill(admin.name);
  await page.getByLabel("E-mail").fill(admin.email);
  await page.getByLabel("Password").fill(admin.password);
  await page.getByRole("button", { name: "Create account" }).click();
  await expect(page.getByText("This is not the code")).toBeVisible();
  await page.getByLabel("Setup code").fill(console_.setupCode);
  await page.getByRole("button", { name: "Create account" }).click();
  await expectOverview(page);
});

test("leads a new admin from the empty overview to the first site", async () => {
  await expect(page.getByRole("heading", { name: "Three steps to the first tunnel" })).toBeVisible();
  await expect(page.getByText("0 of 0 enrolled so far.")).toBeVisible();
  await page.goto("/links/new");
  await page.getByText("There are no sites yet").getByRole("link", { name: "New site" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "New site" })).toBeVisible();
});

test("refuses malformed and overlapping networks at the field, with the reason", async () => {
  await page.goto("/sites/new");
  await page.getByLabel("Name").fill("Amsterdam");
  await page.getByLabel("Networks").fill("10.1.0.5/24");
  await page.getByLabel("Public address").fill("192.0.2.1");
  await page.getByRole("button", { name: "Create site" }).click();
  await expect(page.getByText(/10\.1\.0\.0\/24/)).toBeVisible();
  await page.getByLabel("Networks").fill("10.1.0.0/24");
  await page.getByRole("button", { name: "Create site" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Amsterdam" })).toBeVisible();
  await page.goto("/sites/new");
  await page.getByLabel("Name").fill("Berlin");
  await page.getByLabel("Networks").fill("10.1.0.128/25");
  await page.getByLabel("Public address").fill("198.51.100.1");
  await page.getByRole("button", { name: "Create site" }).click();
  await expect(page.getByText(/overlaps/i)).toBeVisible();
  await page.getByLabel("Networks").fill("10.2.0.0/24");
  await page.getByRole("button", { name: "Create site" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Berlin" })).toBeVisible();
});

for (const [name, side] of [
  ["Amsterdam", "left"],
  ["Berlin", "right"],
] as const) {
  test(`enrols the gateway of ${name} with one copied command`, async () => {
    gateways.set(name, await enrol(page, name, net[side], console_.hubSocket));
  });
}

test("creates a link in the wizard and watches it come up", async () => {
  linkPath = await createLink(page, { first: "Amsterdam", second: "Berlin", name: "Amsterdam – Berlin", method: "psk" });
  await expect(tunnelStatus(page, "Up")).toBeVisible();
});

test("moves the counters when traffic flows", async () => {
  await page.goto(`${linkPath}?tab=sas`);
  const region = page.getByRole("region", { name: /^Child SA/ }).first();
  await expect(region).toBeVisible();
  const before = await region.innerText();
  await page.goto(linkPath);
  await page.getByRole("button", { name: "Send test traffic" }).click();
  await expect(page.getByRole("status").filter({ hasText: /answered, 0 lost/ })).toBeVisible({ timeout: 15_000 });
  await page.goto(`${linkPath}?tab=sas`);
  await expect.poll(async () => region.innerText(), { timeout: 10_000 }).not.toBe(before);
});

test("edits the link: a network more, tried and reviewed before it is saved, and traffic passes in it", async () => {
  await net.right.run(["ip", "address", "add", "10.22.0.1/24", "dev", "lo"]);
  const other = await context.newPage();
  await other.goto(`${linkPath}/edit`);
  await page.goto(linkPath);
  await page.getByRole("link", { name: "Edit", exact: true }).click();
  const networks = page.getByLabel("Networks at Berlin");
  await networks.fill("10.2.0.0/24\n10.1.0.128/25");
  await page.getByRole("button", { name: "Review changes" }).click();
  await expect(page.getByText(/10\.1\.0\.128\/25 overlaps 10\.1\.0\.0\/24/)).toBeVisible();
  await networks.fill("10.2.0.0/24\n10.22.0.0/24");
  await page.getByRole("button", { name: "Review changes" }).click();
  await expect(page.getByRole("region", { name: "Preflight" })).toContainText("Amsterdam and Berlin would agree on");
  await expect(page.getByText("10.22.0.0/24").first()).toBeVisible();
  expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([]);
  await page.getByRole("button", { name: "Save changes" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Amsterdam – Berlin", exact: true })).toBeVisible();
  await expect(async () => {
    const { stdout } = await net.left.try(["ping", "-n", "-q", "-c", "1", "-W", "0.3", "-I", net.left.insideAddress, "10.22.0.1"]);
    expect(stdout).toContain("1 received");
  }).toPass({ timeout: 10_000, intervals: [100] });
  await page.goto(`${linkPath}?tab=history`);
  await expect(page.getByText("Changed networks").first()).toBeVisible();
  // Who still has the older version open cannot overwrite this one unseen.
  await other.getByLabel("Networks at Berlin").fill("10.2.0.0/25");
  await other.getByRole("button", { name: "Review changes" }).click();
  await expect(other.getByText(/Version 2 of this link was saved while you were editing version 1/)).toBeVisible();
  await other.close({ runBeforeUnload: false });
});

test("shows the negotiation, decoded", async () => {
  await page.goto(`${linkPath}?tab=negotiation`);
  await expect(page.getByText(/IKE_SA_INIT/).first()).toBeVisible();
  await expect(page.getByText(/IKE_AUTH/).first()).toBeVisible();
});

test("rotates the pre-shared key while an echo is sent every 10 ms: none is lost", async () => {
  const ping = await startPing(net.left, net.right, 0.01);
  await rotateNow(page, { name: "Weekly keys", kind: "psk" });
  const result = await ping.stop();
  expect(result.sent).toBeGreaterThan(100);
  expect(result.lost).toBe(0);
});

test("loses nothing while console and hub are away for 60 s with a rekey in between", async () => {
  const amsterdam = gateways.get("Amsterdam");
  const linkId = linkPath.split("/").at(-1) ?? "";
  const ping = await startPing(net.left, net.right, 0.01);
  await console_.stop();
  const awayUntil = Date.now() + 60_000;
  const before = await childSpis(amsterdam, linkId);
  await amsterdam?.command(["rekey", linkId]);
  await expect.poll(async () => childSpis(amsterdam, linkId), { timeout: 10_000 }).not.toEqual(before);
  await expect.poll(() => Date.now() > awayUntil, { timeout: 65_000, intervals: [500] }).toBe(true);
  await console_.start();
  const result = await ping.stop();
  // That echoes ran all the time; on a busy machine ping falls behind its interval.
  expect(result.sent).toBeGreaterThan(2_000);
  expect(result.lost).toBe(0);
  await page.goto(linkPath);
  await expect(tunnelStatus(page, "Up")).toBeVisible({ timeout: 15_000 });
});

test("brings the link back within 10 s after a gateway was killed", async () => {
  await gateways.get("Amsterdam")?.kill();
  gateways.get("Amsterdam")?.start();
  const startedAt = Date.now();
  await expect(async () => {
    const { stdout } = await net.left.try(["ping", "-n", "-q", "-c", "1", "-W", "0.3", "-I", net.left.insideAddress, net.right.insideAddress]);
    expect(stdout).toContain("1 received");
  }).toPass({ timeout: 10_000, intervals: [100] });
  expect(Date.now() - startedAt).toBeLessThan(10_000);
  await expect(tunnelStatus(page, "Up")).toBeVisible({ timeout: 15_000 });
});

for (const theme of ["light", "dark"] as const) {
  test(`has no accessibility violation on any page, ${theme}`, async () => {
    await page.emulateMedia({ colorScheme: theme });
    await page.evaluate((value) => localStorage.setItem("theme", value), theme);
    const amsterdam = await sitePath(page, "Amsterdam");
    const pages = [
      "/",
      "/sites",
      "/sites/new",
      amsterdam,
      "/links",
      "/links/new",
      linkPath,
      `${linkPath}/edit`,
      `${linkPath}?tab=sas`,
      `${linkPath}?tab=negotiation`,
      `${linkPath}?tab=history`,
    ];
    for (const path of [...pages, "/keys", "/rotations", "/events", "/settings/account", "/settings/users"]) {
      await page.goto(path);
      await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
      const { violations } = await new AxeBuilder({ page }).analyze();
      expect(violations.map((violation) => ({ path, id: violation.id, nodes: violation.nodes.map((node) => node.html).slice(0, 3) }))).toEqual([]);
    }
  });
}

test("records who did what", async () => {
  await page.goto("/events");
  const entry = page.getByRole("listitem").filter({ hasText: "Link Amsterdam – Berlin was created" });
  await expect(entry).toBeVisible();
  await expect(entry).toContainText("Ada Admin");
});

test("finds what was done by whom to which link, and keeps the filter in the address", async () => {
  const entry = (text: string) => page.getByRole("listitem").filter({ hasText: text });
  await page.getByLabel("By", { exact: true }).selectOption("Ada Admin");
  await page.getByLabel("About", { exact: true }).selectOption("Amsterdam – Berlin");
  await expect(page).toHaveURL(/actor=Ada\+Admin&about=/);
  await expect(entry("Site Amsterdam was created")).toHaveCount(0);
  await page.reload();
  await expect(entry("Link Amsterdam – Berlin was created")).toBeVisible();
  await expect(entry("Site Amsterdam was created")).toHaveCount(0);
  await expect(page.getByLabel("About", { exact: true })).not.toHaveValue("");
});

test("shows within 5 s that a gateway was revoked", async () => {
  await page.goto(await sitePath(page, "Amsterdam"));
  await page.getByRole("button", { name: "Revoke gateway" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Revoke gateway" }).click();
  const revokedAt = Date.now();
  await expect(page.locator("[data-status]", { hasText: "Revoked" }).first()).toBeVisible({ timeout: 5_000 });
  await page.goto(linkPath);
  await expect(tunnelStatus(page, /Unknown|Down/)).toBeVisible({ timeout: Math.max(1, 5_000 - (Date.now() - revokedAt)) });
});

test("says what became of its tunnel: down, because its peer takes the key no more, and where to enrol it again", async () => {
  await expect(tunnelStatus(page, "Down")).toBeVisible({ timeout: 15_000 });
  await expect(page.getByText("Berlin does not accept its pre-shared key any more: the tunnel stays down until Amsterdam is enrolled again.")).toBeVisible();
  expect((await new AxeBuilder({ page }).analyze()).violations.map(({ id }) => id)).toEqual([]);
  await page.goto("/keys");
  await expect(page.getByRole("row").filter({ hasText: "Amsterdam – Berlin" })).toContainText("Withdrawn");
  await page.goto(linkPath);
  await page.getByRole("link", { name: "Enrol Amsterdam again" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Amsterdam", exact: true })).toBeVisible();
  await page.goto(linkPath);
});

test("answers nothing to a stranger but the way to sign in", async ({ browser }) => {
  const stranger = await browser.newContext({ baseURL: console_.url });
  for (const { path, method } of await apiRoutes()) {
    const answer = await stranger.request.fetch(path, { method, maxRedirects: 0 });
    expect([method, path, answer.status()]).toEqual([method, path, 401]);
  }
  for (const path of consolePages()) {
    const answer = await stranger.request.get(path, { maxRedirects: 0 });
    expect([path, answer.status(), new URL(answer.headers()["location"] ?? "/", console_.url).pathname]).toEqual([path, 307, "/sign-in"]);
  }
  await stranger.close();
});

test("shows a viewer everything and lets the viewer change nothing", async ({ browser }) => {
  await page.goto("/settings/users");
  await addUser(page, { name: "Vic Viewer", email: "vic@example.test", password: `${admin.password} too`, role: "viewer" });
  const viewer = await browser.newContext({ baseURL: console_.url });
  const view = await viewer.newPage();
  await view.goto("/sign-in");
  await view.getByLabel("E-mail").fill("vic@example.test");
  await view.getByLabel("Password").fill(`${admin.password} too`);
  await view.getByRole("button", { name: "Sign in" }).click();
  await expectOverview(view);
  await view.goto(linkPath);
  await expect(view.getByRole("heading", { level: 1, name: "Amsterdam – Berlin" })).toBeVisible();
  for (const name of ["Rekey now", "Restart", "Disable", "Send test traffic"]) await expect(view.getByRole("button", { name })).toHaveCount(0);
  await view.goto("/links");
  await expect(view.getByRole("link", { name: "New link" })).toHaveCount(0);
  await view.goto(await sitePath(view, "Berlin"));
  await expect(view.getByText("Traffic runs on")).toBeVisible();
  for (const name of ["Review change", "Save site", "Revoke gateway"]) await expect(view.getByRole("button", { name })).toHaveCount(0);
  await viewer.close();
});

test("tells a key that was typed in to no page, no API answer and no log", async () => {
  await page.goto("/links/new");
  await page.getByRole("combobox", { name: "First site" }).selectOption({ label: "Berlin" });
  await page.getByRole("radio", { name: "a third-party peer" }).check();
  await page.getByRole("textbox", { name: "Peer name" }).fill("Partner");
  await page.getByRole("textbox", { name: "Peer address" }).fill("203.0.113.7");
  await page.getByRole("textbox", { name: "Peer identity" }).fill("partner.example.test");
  await page.getByRole("textbox", { name: "Link name" }).fill("Partner");
  await next(page);
  await page.getByRole("textbox", { name: "Networks at Partner" }).fill("10.9.0.0/24");
  await next(page);
  await page.getByLabel("Pre-shared key", { exact: true }).fill(plantedKey);
  await next(page);
  await page.getByRole("button", { name: "Create link" }).click();
  await expect(page.getByText(/Waiting|In progress|Done/).first()).toBeVisible();
  await page.goto("/links");
  const partner = (await page.getByRole("link", { name: "Partner", exact: true }).first().getAttribute("href")) ?? "";
  const paths = [
    ...(await apiRoutes()).filter(({ method }) => method === "GET").map(({ path }) => path),
    ...consolePages(),
    partner,
    `${partner}?tab=history`,
    `/api${partner}`,
    `/api${partner}/versions`,
    `/api${partner}/trace`,
  ];
  // The stream never ends; what it says is which resource changed, by id.
  const texts = await Promise.all(paths.filter((path) => !path.endsWith("/stream")).map(async (path) => (await page.request.get(path)).text()));
  const told = [...texts, console_.log(), ...[...gateways.values()].map((gateway) => gateway.log())].join("\n");
  expect(told).toContain("partner.example.test");
  expect(told).not.toContain(plantedKey);
  expect(told).not.toContain(Buffer.from(plantedKey).toString("base64"));
  expect(told).not.toContain(admin.password);
  expect(told).not.toMatch(/BEGIN [A-Z ]*PRIVATE KEY/);
});

function consolePages(): string[] {
  return [
    "/",
    "/sites",
    "/sites/new",
    "/links",
    "/links/new",
    linkPath,
    `${linkPath}/edit`,
    "/keys",
    "/rotations",
    "/events",
    "/settings/account",
    "/settings/users",
  ];
}

/** Every API route that there is, from the files themselves, so that a new one is tried too. better-auth answers under /api/auth by itself. */
/** Every route of the API with each method that it has. */
async function apiRoutes(): Promise<{ path: string; method: string }[]> {
  const root = new URL("../../app/api/", import.meta.url);
  const files = await readdir(root, { recursive: true });
  const ids: Record<string, string> = { links: linkPath.split("/").at(-1) ?? "", sites: (await sitePath(page, "Amsterdam")).split("/").at(-1) ?? "" };
  const routes = await Promise.all(
    files
      .filter((file) => file.endsWith("route.ts") && !file.startsWith("auth"))
      .map(async (file) => {
        const path = `/api/${file.replace(/\/route\.ts$/, "").replace("[id]", ids[file.split("/")[0] ?? ""] ?? "")}`;
        const methods = [
          ...(await readFile(new URL(file, root), "utf8")).matchAll(/^export (?:const|async function|function) (GET|POST|PUT|PATCH|DELETE)\b/gm),
        ];
        expect([path, methods.length]).not.toEqual([path, 0]);
        return methods.map(([, method = ""]) => ({ path, method }));
      }),
  );
  return routes.flat();
}
