import AxeBuilder from "@axe-core/playwright";
import { type BrowserContext, expect, type Page, test } from "@playwright/test";
import { makeThreeNamespaces, sweepLeftovers, type ThreeNamespaces } from "../lib/namespaces.ts";
import { pingUntilAnswered } from "../lib/traffic.ts";
import { type ConsoleUnderTest, startConsoleUnderTest } from "./console-under-test.ts";
import { type EnrolledGateway, linkAt } from "./enrolled-gateway.ts";
import { createLink, createSite, enrol, setUp, sitePath, tunnelStatus } from "./steps.ts";

/* How many processor cores of a gateway work on its traffic, set in the console and carried out by the gateway. */
test.describe.configure({ mode: "serial" });

let console_: ConsoleUnderTest;
let net: ThreeNamespaces;
let context: BrowserContext;
let page: Page;
const gateways: EnrolledGateway[] = [];
let linkPath = "";

test.beforeAll(async ({ browser }) => {
  sweepLeftovers("cvw");
  net = await makeThreeNamespaces("cvw");
  console_ = await startConsoleUnderTest();
  context = await browser.newContext({ baseURL: console_.url });
  page = await context.newPage();
  await setUp(page, console_.setupCode);
  await createSite(page, { name: "Amsterdam", network: "10.1.0.0/24", address: "192.0.2.1" });
  await createSite(page, { name: "Berlin", network: "10.2.0.0/24", address: "198.51.100.1" });
  gateways.push(await enrol(page, "Amsterdam", net.left, console_.hubSocket), await enrol(page, "Berlin", net.right, console_.hubSocket));
  linkPath = await createLink(page, { first: "Amsterdam", second: "Berlin", name: "Amsterdam – Berlin", method: "psk" });
});

test.afterAll(async () => {
  await context?.close();
  for (const gateway of gateways) await gateway.stop();
  await console_?.remove();
  net?.remove();
});

const running = () => page.locator("dt", { hasText: "Traffic runs on" }).locator("xpath=following-sibling::dd[1]");

async function expectAccessible(): Promise<void> {
  for (const theme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: theme });
    expect((await new AxeBuilder({ page }).analyze()).violations.map(({ id }) => [theme, id])).toEqual([]);
  }
}

test("one core is what a gateway has until it is told otherwise, and no number that it does not take can be saved", async () => {
  await page.goto(await sitePath(page, "Amsterdam"));
  await expect(running()).toContainText(/^1 core · the machine has \d+$/);
  const review = page.getByRole("button", { name: "Review change" });
  await expect(review).toBeDisabled();
  for (const text of ["0", "17", "", "1.5"]) {
    await page.getByLabel("Cores for traffic").fill(text);
    await expect(page.getByText("A whole number from 1 to 16.")).toBeVisible();
    await expect(review).toBeDisabled();
  }
});

test("says before it is saved what changes and that the tunnel pauses; then the gateway reports the number, and traffic passes", async () => {
  await page.getByLabel("Cores for traffic").fill("2");
  await page.getByRole("button", { name: "Review change" }).click();
  const dialog = page.getByRole("alertdialog");
  await expect(dialog).toContainText("The gateway takes this at once. Its tunnel pauses for a second or two");
  await expect(dialog.getByRole("listitem").filter({ hasText: "gateway.outboundWorkers" })).toContainText(/1.*2/s);
  await expectAccessible();
  await dialog.getByRole("button", { name: "Save and apply" }).click();
  await expect(dialog).toBeHidden();
  await expect(running()).toContainText(/^2 cores/, { timeout: 15_000 });
  await pingUntilAnswered(net.left, net.right, 10_000);
  await expect(page.getByText("The gateway is taking this now.")).toBeHidden();
  await expectAccessible();
});

test("each direction can have its own number; with several at both ends every core has a Child SA", async () => {
  await page.goto(await sitePath(page, "Berlin"));
  await page.getByLabel("Set sending and receiving apart").check();
  await page.getByLabel("Cores to send").fill("3");
  await page.getByLabel("Cores to receive").fill("2");
  await page.getByRole("button", { name: "Review change" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Save and apply" }).click();
  await expect(running()).toContainText(/^3 cores to send, 2 cores to receive/, { timeout: 15_000 });
  const linkId = linkPath.split("/").at(-1) ?? "";
  // One for all, and one for each worker of the end that has fewer.
  const workers = async () => {
    const { ikeSas = [] } = (await linkAt(gateways[0], linkId)) ?? {};
    return ikeSas.map(({ childSas }) =>
      childSas
        .filter(({ state }) => state === "established")
        .map(({ worker }) => worker)
        .toSorted(),
    );
  };
  await expect.poll(workers, { timeout: 15_000 }).toEqual([[0, 1, 2]]);
  await page.goto(linkPath);
  await expect(tunnelStatus(page, "Up")).toBeVisible({ timeout: 15_000 });
  await pingUntilAnswered(net.right, net.left, 5_000);
});

test("is recorded with who did it and what it was before", async () => {
  await page.goto("/events");
  const entry = page.getByRole("listitem").filter({ hasText: "The gateway of Amsterdam was given 2 processor cores for traffic" });
  await expect(entry).toContainText("Ada Admin");
});
