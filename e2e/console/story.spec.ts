import AxeBuilder from "@axe-core/playwright";
import { type BrowserContext, expect, type Page, test } from "@playwright/test";
import { observedState } from "../../contract/observed-state.ts";
import { makeThreeNamespaces, sweepLeftovers, type ThreeNamespaces } from "../lib/namespaces.ts";
import { startPing } from "../lib/traffic.ts";
import { type ConsoleUnderTest, startConsoleUnderTest } from "./console-under-test.ts";
import { type EnrolledGateway, enrolGateway } from "./enrolled-gateway.ts";

/*
 * The whole story, as a new admin lives it, against real parts: console, hub and Postgres as `npm start` runs them, two gateways
 * in network namespaces, a browser. Each test goes on where the one before ended.
 */
test.describe.configure({ mode: "serial" });

const password = "correct horse battery staple";
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
  await page.getByLabel("Name").fill("Ada Admin");
  await page.getByLabel("E-mail").fill("ada@example.test");
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Create account" }).click();
  await expect(page.getByText("This is not the code")).toBeVisible();
  await page.getByLabel("Setup code").fill(console_.setupCode);
  await page.getByRole("button", { name: "Create account" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible();
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
    await page.goto("/sites");
    await page.getByRole("link", { name, exact: true }).first().click();
    await page.getByRole("button", { name: "Create enrolment command" }).click();
    const command = await page.getByRole("region", { name: "Enrolment command" }).getByText(/npx culvert-agent/).innerText();
    gateways.set(name, await enrolGateway(net[side], command, console_.hubSocket));
    await expect(page.locator("[data-status]", { hasText: "Connected" }).first()).toBeVisible({ timeout: 15_000 });
  });
}

test("creates a link in the wizard and watches it come up", async () => {
  await page.goto("/links/new");
  await page.getByRole("combobox", { name: "First site" }).selectOption({ label: "Amsterdam" });
  await page.getByRole("combobox", { name: "Second site" }).selectOption({ label: "Berlin" });
  await page.getByRole("textbox", { name: "Link name" }).fill("Amsterdam – Berlin");
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByLabel("Networks at Amsterdam")).toHaveValue("10.1.0.0/24");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("button", { name: "Continue" }).click();
  await expect(page.getByText("What each gateway will get")).toBeVisible();
  await page.getByRole("button", { name: "Create link" }).click();
  await expect(page.getByText("The link is up and carries traffic.")).toBeVisible({ timeout: 20_000 });
  await page.getByRole("link", { name: "Open link" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Amsterdam – Berlin" })).toBeVisible();
  linkPath = new URL(page.url()).pathname;
  await expect(tunnelStatus("Up")).toBeVisible();
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

test("shows the negotiation, decoded", async () => {
  await page.goto(`${linkPath}?tab=negotiation`);
  await expect(page.getByText(/IKE_SA_INIT/).first()).toBeVisible();
  await expect(page.getByText(/IKE_AUTH/).first()).toBeVisible();
});

test("rotates the pre-shared key while an echo is sent every 10 ms: none is lost", async () => {
  await page.goto("/rotations");
  await page.getByRole("button", { name: "New schedule" }).first().click();
  await page.getByLabel("Name").fill("Weekly keys");
  await page.getByLabel("Cron expression").fill("0 3 * * 0");
  await page.getByRole("button", { name: "Save schedule" }).click();
  const ping = await startPing(net.left, net.right, 0.01);
  await page.getByRole("button", { name: /Rotate now/ }).first().click();
  await expect(page.locator("[data-status]", { hasText: "Succeeded" }).first()).toBeVisible({ timeout: 60_000 });
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
  await expect(tunnelStatus("Up")).toBeVisible({ timeout: 15_000 });
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
  await expect(tunnelStatus("Up")).toBeVisible({ timeout: 15_000 });
});

for (const theme of ["light", "dark"] as const) {
  test(`has no accessibility violation on any page, ${theme}`, async () => {
    await page.emulateMedia({ colorScheme: theme });
    await page.evaluate((value) => localStorage.setItem("theme", value), theme);
    const sitePath = await firstSitePath();
    const pages = ["/", "/sites", "/sites/new", sitePath, "/links", "/links/new", linkPath, `${linkPath}?tab=sas`, `${linkPath}?tab=negotiation`, `${linkPath}?tab=history`];
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
  await expect(page.getByText("Link Amsterdam – Berlin was created").first()).toBeVisible();
  await expect(page.getByText("Ada Admin").first()).toBeVisible();
});

test("shows within 5 s that a gateway was revoked", async () => {
  await page.goto(await firstSitePath());
  await page.getByRole("button", { name: "Revoke gateway" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Revoke gateway" }).click();
  const revokedAt = Date.now();
  await expect(page.locator("[data-status]", { hasText: "Revoked" }).first()).toBeVisible({ timeout: 5_000 });
  await page.goto(linkPath);
  await expect(tunnelStatus(/Unknown|Down/)).toBeVisible({ timeout: Math.max(1, 5_000 - (Date.now() - revokedAt)) });
});

test("has written no key to its logs", async () => {
  const written = [console_.log(), ...[...gateways.values()].map((gateway) => gateway.log())].join("\n");
  expect(written).not.toContain("PRIVATE KEY");
  expect(written).not.toContain(password);
});

/** Inbound SPIs of the established Child SAs, as the gateway itself says. */
async function childSpis(gateway: EnrolledGateway | undefined, linkId: string): Promise<string[]> {
  const status = observedState.parse(JSON.parse((await gateway?.command(["status", "--json"])) ?? "null"));
  const link = status.links.find((candidate) => candidate.id === linkId);
  return (link?.ikeSas ?? []).flatMap((ike) => ike.childSas.filter((child) => child.state === "established").map((child) => child.inboundSpi)).toSorted();
}

function tunnelStatus(state: string | RegExp) {
  return page.locator("dl", { hasText: "Tunnel" }).locator("[data-status]").filter({ hasText: state }).first();
}

async function firstSitePath(): Promise<string> {
  await page.goto("/sites");
  const href = await page.getByRole("link", { name: "Amsterdam", exact: true }).first().getAttribute("href");
  return href ?? "/sites";
}

