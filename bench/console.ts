import { chromium, expect, type Page } from "@playwright/test";
import { z } from "zod";
import { startConsoleUnderTest } from "../e2e/console/console-under-test.ts";
import type { EnrolledGateway } from "../e2e/console/enrolled-gateway.ts";
import { createLink, createSite, enrol, setUp, tunnelStatus } from "../e2e/console/steps.ts";
import { makeThreeNamespaces } from "../e2e/lib/namespaces.ts";
import config from "../playwright.config.ts";

/** Milliseconds. */
export interface Latencies {
  readonly samples: number;
  readonly p50: number;
  readonly p95: number;
  readonly most: number;
}

export interface ConsoleFigures {
  /** From the click that saves to both gateways' answer "applied", as the console's own API tells it. */
  readonly saveToApplied: Latencies;
  /** From the command that takes a tunnel down or up at a gateway to the word on an open page. */
  readonly changeToVisible: Latencies;
}

const saves = 20;
const changes = 10;
const pollMilliseconds = 5;
const giveUpMilliseconds = 20_000;

const linkAnswer = z.object({ enabled: z.boolean(), ends: z.array(z.object({ push: z.object({ state: z.string() }) })) });

/** A console, a hub, a Postgres and two gateways as `npm start` and `culvert-agent` run them, and a real browser. */
export async function benchConsole(say: (line: string) => void): Promise<ConsoleFigures> {
  const net = await makeThreeNamespaces("cvb");
  const console_ = await startConsoleUnderTest();
  const browser = await chromium.launch(config.use?.launchOptions ?? {});
  const gateways: EnrolledGateway[] = [];
  try {
    const context = await browser.newContext({ baseURL: console_.url, ignoreHTTPSErrors: true });
    const page = await context.newPage();
    await setUp(page, console_.setupCode);
    await createSite(page, { name: "Amsterdam", network: "10.1.0.0/24", address: "192.0.2.1" });
    await createSite(page, { name: "Berlin", network: "10.2.0.0/24", address: "198.51.100.1" });
    gateways.push(await enrol(page, "Amsterdam", net.left, console_.hubSocket), await enrol(page, "Berlin", net.right, console_.hubSocket));
    const path = await createLink(page, { first: "Amsterdam", second: "Berlin", name: "Amsterdam – Berlin", method: "psk" });
    const saveToApplied = await measureSaves(page, path);
    say(`save to applied on both gateways: p95 ${saveToApplied.p95} ms`);
    const changeToVisible = await measureChanges(page, path, gateways[0]);
    say(`a link's change to the word on the page: at most ${changeToVisible.most} ms`);
    return { saveToApplied, changeToVisible };
  } finally {
    await browser.close();
    for (const gateway of gateways) await gateway.stop();
    await console_.remove();
    net.remove();
  }
}

async function measureSaves(page: Page, path: string): Promise<Latencies> {
  await page.goto(path);
  const times: number[] = [];
  for (let i = 0; i < saves; i++) {
    const isEnabled = i % 2 === 0;
    await expect(page.getByRole("button", { name: isEnabled ? "Disable" : "Enable", exact: true })).toBeVisible();
    if (isEnabled) await page.getByRole("button", { name: "Disable", exact: true }).click();
    // Disabling asks first: the click that answers is the save.
    const save = isEnabled
      ? page.getByRole("alertdialog").getByRole("button", { name: "Disable link" })
      : page.getByRole("button", { name: "Enable", exact: true });
    const started = performance.now();
    await save.click();
    await untilApplied(page, path, !isEnabled);
    times.push(performance.now() - started);
  }
  return latencies(times);
}

/** Both ends answered "applied" for the configuration that is now saved. */
async function untilApplied(page: Page, path: string, enabled: boolean): Promise<void> {
  for (const deadline = performance.now() + giveUpMilliseconds; performance.now() < deadline; ) {
    const link = linkAnswer.parse(await (await page.request.get(`/api${path}`)).json());
    if (link.enabled === enabled && link.ends.every((end) => end.push.state === "applied")) return;
    await new Promise((resolve) => setTimeout(resolve, pollMilliseconds));
  }
  throw new Error(`a save was not applied within ${giveUpMilliseconds / 1_000} s`);
}

async function measureChanges(page: Page, path: string, gateway: EnrolledGateway | undefined): Promise<Latencies> {
  if (gateway === undefined) throw new Error("there is no gateway");
  const linkId = path.split("/").at(-1) ?? "";
  await page.goto(path);
  await expect(tunnelStatus(page, "Up")).toBeVisible({ timeout: giveUpMilliseconds });
  const times: number[] = [];
  for (let i = 0; i < changes; i++) {
    for (const [command, word] of [
      ["down", "Down|Degraded|Negotiating"],
      ["up", "Up"],
    ] as const) {
      const seen = wordSeen(page, word);
      const started = performance.now();
      await gateway.command([command, linkId]);
      await seen;
      times.push(performance.now() - started);
    }
  }
  return latencies(times);
}

/** Looks at every frame the page draws: a locator's assertion looks only once a second after its first tries. */
async function wordSeen(page: Page, word: string): Promise<void> {
  await page.waitForFunction(
    (pattern) => {
      const list = [...document.querySelectorAll("dl")].find((dl) => dl.textContent.includes("Tunnel"));
      return [...(list?.querySelectorAll("[data-status]") ?? [])].some((status) => new RegExp(pattern).test(status.textContent));
    },
    word,
    { polling: "raf", timeout: giveUpMilliseconds },
  );
}

function latencies(times: readonly number[]): Latencies {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0);
  return { samples: sorted.length, p50: at(0.5), p95: at(0.95), most: at(1) };
}
