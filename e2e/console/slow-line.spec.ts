import { type BrowserContext, expect, type Page, test } from "@playwright/test";
import { type ConsoleUnderTest, startConsoleUnderTest } from "./console-under-test.ts";
import { addUser, admin, setUp } from "./steps.ts";

/*
 * Pages are streamed: their frame comes first, what was read for them behind it. While the rest is on its way the live stream opens and
 * the clock ticks. Neither may make the browser draw the page a second time beside the one that comes: for a moment there would be two.
 */
test.describe.configure({ mode: "serial" });

const kibibyte = 1024;
let console_: ConsoleUnderTest;
let context: BrowserContext;
let page: Page;

declare global {
  interface Window {
    /** What happened to the forms of this page since it began to come. */
    formsSeen: { most: number; first: Element | null };
  }
}

test.beforeAll(async ({ browser }) => {
  console_ = await startConsoleUnderTest();
  context = await browser.newContext({ baseURL: console_.url });
  page = await context.newPage();
  await setUp(page, console_.setupCode);
});

test.afterAll(async () => {
  await context?.close();
  await console_?.remove();
});

test("a page is there once, and the one that is used is the one that the server sent, however slowly it comes", async () => {
  // What does not change is in the browser's cache from here on: only the page itself comes slowly.
  await openForm(page);
  await page.addInitScript(watchForms);
  const line = await context.newCDPSession(page);
  for (const kibibytesPerSecond of [10, 20, 50, 200]) {
    await line.send("Network.emulateNetworkConditions", {
      offline: false,
      latency: 0,
      downloadThroughput: kibibytesPerSecond * kibibyte,
      uploadThroughput: -1,
    });
    await openForm(page);
    expect(await formsOf(page), `at ${kibibytesPerSecond} KiB a second`).toEqual({ most: 1, firstIsShown: true });
  }
  await line.detach();
  // The clock and the stream still reach what shows them.
  await expect(page.getByText(/^· [3-9] s ago$/)).toBeVisible();
});

test("what changes after the page was made and before its stream is there is shown once it is", async () => {
  const { promise: allowed, resolve: allow } = Promise.withResolvers<void>();
  await page.route("**/api/stream", async (route) => {
    await allowed;
    await route.continue();
  });
  await page.goto("/settings/users");
  await expect(page.getByText(admin.email)).toBeVisible();
  const elsewhere = await context.newPage();
  await elsewhere.goto("/settings/users");
  await addUser(elsewhere, { name: "Olga Operator", email: "olga@example.test", password: `${admin.password} too` });
  await expect(page.getByText("olga@example.test")).toBeHidden();
  allow();
  await expect(page.getByText("olga@example.test")).toBeVisible();
  await page.unroute("**/api/stream");
});

async function openForm(page: Page): Promise<void> {
  await page.goto("/links/new");
  await expect(page.getByText("Live", { exact: true })).toBeVisible();
  await page.getByRole("radio", { name: "a third-party peer" }).check();
  await expect(page.getByRole("textbox", { name: "Peer name" })).toBeVisible();
}

function watchForms(): void {
  const seen: Window["formsSeen"] = { most: 0, first: null };
  window.formsSeen = seen;
  new MutationObserver(() => {
    const forms = document.querySelectorAll("form");
    seen.most = Math.max(seen.most, forms.length);
    seen.first ??= forms[0] ?? null;
  }).observe(document, { childList: true, subtree: true });
}

async function formsOf(page: Page): Promise<{ most: number; firstIsShown: boolean }> {
  return page.evaluate(() => ({ most: window.formsSeen.most, firstIsShown: document.querySelector("main form") === window.formsSeen.first }));
}
