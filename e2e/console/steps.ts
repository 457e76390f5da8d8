import { expect, type Page } from "@playwright/test";
import type { Site } from "../lib/namespaces.ts";
import { type EnrolledGateway, enrolGateway } from "./enrolled-gateway.ts";

/** What an admin does, step by step, by the labels that the pages show. */

export const admin = { name: "Ada Admin", email: "ada@example.test", password: "correct horse battery staple" } as const;

export async function setUp(page: Page, code: string): Promise<void> {
  await page.goto("/setup");
  await page.getByLabel("Setup code").fill(code);
  await page.getByLabel("Name").fill(admin.name);
  await page.getByLabel("E-mail").fill(admin.email);
  await page.getByLabel("Password").fill(admin.password);
  await page.getByRole("button", { name: "Create account" }).click();
  await expectOverview(page);
}

/** Behind it lie a password's hash, as slow as such ones are made, and the first page that a console shows. */
export async function expectOverview(page: Page): Promise<void> {
  await expect(page.getByRole("heading", { level: 1, name: "Overview" })).toBeVisible({ timeout: 20_000 });
}

/** On the users' page. */
export async function addUser(page: Page, user: { name: string; email: string; password: string; role?: string }): Promise<void> {
  await page.getByRole("button", { name: "Add user" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill(user.name);
  await dialog.getByLabel("E-mail").fill(user.email);
  await dialog.getByLabel("Password").fill(user.password);
  if (user.role !== undefined) await dialog.getByLabel("Role").selectOption(user.role);
  await dialog.getByRole("button", { name: "Add user" }).click();
  await expect(page.getByText(user.email)).toBeVisible();
}

export async function createSite(page: Page, site: { name: string; network: string; address: string }): Promise<void> {
  await page.goto("/sites/new");
  await page.getByLabel("Name").fill(site.name);
  await page.getByLabel("Networks").fill(site.network);
  await page.getByLabel("Public address").fill(site.address);
  await page.getByRole("button", { name: "Create site" }).click();
  await expect(page.getByRole("heading", { level: 1, name: site.name })).toBeVisible();
}

/** Copies the site's command, runs it at the site, and waits until the page says Connected by itself. */
export async function enrol(page: Page, name: string, site: Site, hubSocket: string): Promise<EnrolledGateway> {
  await page.goto(await sitePath(page, name));
  await page.getByRole("button", { name: "Create enrolment command" }).click();
  const command = await page
    .getByRole("region", { name: "Enrolment command" })
    .getByText(/npx culvert-agent/)
    .innerText();
  const gateway = await enrolGateway(site, command, hubSocket);
  await expect(page.locator("[data-status]", { hasText: /^Connected$/ }).first()).toBeVisible({ timeout: 15_000 });
  return gateway;
}

/** The wizard from its first step to "Open link". Returns the link's path. */
export async function createLink(page: Page, link: { first: string; second: string; name: string; method: "psk" | "certificate" }): Promise<string> {
  await page.goto("/links/new");
  await page.getByRole("combobox", { name: "First site" }).selectOption({ label: link.first });
  await page.getByRole("combobox", { name: "Second site" }).selectOption({ label: link.second });
  await page.getByRole("textbox", { name: "Link name" }).fill(link.name);
  await next(page);
  await expect(page.getByLabel(`Networks at ${link.first}`)).toBeVisible();
  await next(page);
  if (link.method === "certificate") await page.getByRole("radio", { name: "certificates" }).check();
  await next(page);
  await expect(page.getByText("What each gateway will get")).toBeVisible();
  await page.getByRole("button", { name: "Create link" }).click();
  await expect(page.getByText("The link is up and carries traffic.")).toBeVisible({ timeout: 20_000 });
  await page.getByRole("link", { name: "Open link" }).click();
  await expect(page.getByRole("heading", { level: 1, name: link.name })).toBeVisible();
  return new URL(page.url()).pathname;
}

export async function next(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Continue" }).click();
}

/** Makes a schedule for keys of this kind and has it run at once; resolves when the run has succeeded. */
export async function rotateNow(page: Page, schedule: { name: string; kind: "psk" | "certificate" }): Promise<void> {
  await page.goto("/rotations");
  await page.getByRole("button", { name: "New schedule" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill(schedule.name);
  await dialog.getByLabel("Replaces").selectOption(schedule.kind);
  await dialog.getByLabel("Cron expression").fill("0 3 * * 0");
  await dialog.getByRole("button", { name: "Save schedule" }).click();
  await page
    .getByRole("button", { name: /Rotate now/ })
    .first()
    .click();
  await expect(page.locator("[data-status]", { hasText: "Succeeded" }).first()).toBeVisible({ timeout: 60_000 });
}

export async function sitePath(page: Page, name: string): Promise<string> {
  await page.goto("/sites");
  return (await page.getByRole("link", { name, exact: true }).first().getAttribute("href")) ?? "";
}

export function tunnelStatus(page: Page, state: string | RegExp) {
  return page.locator("dl", { hasText: "Tunnel" }).locator("[data-status]").filter({ hasText: state }).first();
}
