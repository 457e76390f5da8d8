import AxeBuilder from "@axe-core/playwright";
import { type BrowserContext, expect, type Page, test } from "@playwright/test";
import { makeThreeNamespaces, sweepLeftovers, type ThreeNamespaces } from "../lib/namespaces.ts";
import { ping, pingUntilAnswered, startPing } from "../lib/traffic.ts";
import { type ConsoleUnderTest, startConsoleUnderTest } from "./console-under-test.ts";
import { childSpis, type EnrolledGateway, linkAt } from "./enrolled-gateway.ts";
import { createLink, createSite, enrol, rotateNow, setUp, sitePath, tunnelStatus } from "./steps.ts";

/* A link whose ends prove themselves with certificates of the console's own authority, and their rotation. */
test.describe.configure({ mode: "serial" });

let console_: ConsoleUnderTest;
let net: ThreeNamespaces;
let context: BrowserContext;
let page: Page;
const gateways: EnrolledGateway[] = [];
let linkPath = "";

test.beforeAll(async ({ browser }) => {
  sweepLeftovers("cvc");
  net = await makeThreeNamespaces("cvc");
  console_ = await startConsoleUnderTest();
  context = await browser.newContext({ baseURL: console_.url });
  page = await context.newPage();
});

test.afterAll(async () => {
  await context?.close();
  for (const gateway of gateways) await gateway.stop();
  await console_?.remove();
  net?.remove();
});

test("brings a link with certificates up", async () => {
  await setUp(page, console_.setupCode);
  await createSite(page, { name: "Amsterdam", network: "10.1.0.0/24", address: "192.0.2.1" });
  await createSite(page, { name: "Berlin", network: "10.2.0.0/24", address: "198.51.100.1" });
  gateways.push(await enrol(page, "Amsterdam", net.left, console_.hubSocket), await enrol(page, "Berlin", net.right, console_.hubSocket));
  linkPath = await createLink(page, { first: "Amsterdam", second: "Berlin", name: "By certificate", method: "certificate" });
  await expect(tunnelStatus(page, "Up")).toBeVisible();
});

test("replaces both certificates while an echo is sent every 10 ms: none is lost", async () => {
  await page.goto("/keys");
  const before = await page.getByRole("table", { name: "Keys and certificates" }).innerText();
  const ping = await startPing(net.left, net.right, 0.01);
  await rotateNow(page, { name: "Quarterly certificates", kind: "certificate" });
  const result = await ping.stop();
  expect(result.sent).toBeGreaterThan(50);
  expect(result.lost).toBe(0);
  await page.goto("/keys");
  expect(await page.getByRole("table", { name: "Keys and certificates" }).innerText()).not.toBe(before);
  await page.goto(linkPath);
  await expect(tunnelStatus(page, "Up")).toBeVisible();
});

test("revokes a certificate: the other gateway ends its tunnel, and the link comes back with a new one", async () => {
  await page.goto("/keys");
  const row = keysInUse(page).getByRole("row").filter({ hasText: "By certificate, Amsterdam" });
  const before = await row.getByRole("code").innerText();
  await page.getByRole("button", { name: "Revoke By certificate, Amsterdam" }).click();
  const dialog = page.getByRole("alertdialog");
  await expect(dialog).toContainText("comes back with it after a second or two");
  for (const theme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: theme });
    expect((await new AxeBuilder({ page }).analyze()).violations.map(({ id }) => [theme, id])).toEqual([]);
  }
  await dialog.getByRole("button", { name: "Revoke certificate" }).click();
  await expect(dialog).toBeHidden();
  await expect.poll(() => gateways[1]?.log() ?? "", { timeout: 15_000 }).toMatch(/amsterdam.* was revoked by its authority .*\(keyCompromise\)/i);
  await expect(row.getByRole("code")).not.toHaveText(before);
  // With the new certificate, as both gateways say themselves.
  const inUse = async () => {
    const { ends } = await (await page.request.get(`/api${linkPath}`)).json();
    return [ends[0].ikeSas.map((sa: { credentialId: string }) => sa.credentialId), ends[1].ikeSas.length];
  };
  const keys: { id: string; name: string }[] = await (await page.request.get("/api/keys")).json();
  const fresh = keys.find((key) => key.name === "By certificate, Amsterdam")?.id;
  await expect.poll(inUse, { timeout: 20_000 }).toEqual([[fresh], 1]);
  await page.goto(linkPath);
  await expect(tunnelStatus(page, "Up")).toBeVisible({ timeout: 15_000 });
});

test("revokes a certificate without a new one: the tunnel goes, the page says why, and only a new certificate brings it back", async () => {
  const [amsterdam, berlin] = gateways;
  await pingUntilAnswered(net.left, net.right, 5_000);
  await page.goto("/keys");
  await page.getByRole("button", { name: "Revoke By certificate, Amsterdam" }).click();
  const dialog = page.getByRole("alertdialog");
  await dialog.getByLabel("Issue a new certificate now").uncheck();
  await expect(dialog).toContainText("stays down until you issue one");
  await dialog.getByRole("button", { name: "Revoke certificate" }).click();
  await expect(dialog).toBeHidden();
  await expectCutOff(berlin);
  await expect(keysInUse(page).getByRole("row").filter({ hasText: "By certificate, Amsterdam" })).toContainText("Revoked");
  await page.goto(linkPath);
  await expect(tunnelStatus(page, "Down")).toBeVisible({ timeout: 15_000 });
  await expect(
    page.getByText("The certificate of Amsterdam was revoked and Berlin refuses it: the tunnel stays down until a new one is issued."),
  ).toBeVisible();
  for (const theme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: theme });
    expect((await new AxeBuilder({ page }).analyze()).violations.map(({ id }) => [theme, id])).toEqual([]);
  }
  // Amsterdam still has it, shows it again, and is refused again.
  await expectRefusedAgain(amsterdam, berlin);
  await page.getByRole("button", { name: "Issue a new certificate" }).click();
  await expect(tunnelStatus(page, "Up")).toBeVisible({ timeout: 20_000 });
  await expect(page.getByText(/was revoked and Berlin refuses it/)).toBeHidden();
  await pingUntilAnswered(net.left, net.right, 5_000);
  expect(await childSpis(berlin, linkId())).toHaveLength(1);
});

test("revokes a gateway that goes on running with all its keys: its peer refuses them, until it is enrolled again", async () => {
  const [amsterdam, berlin] = gateways;
  await page.goto(await sitePath(page, "Amsterdam"));
  await page.getByRole("button", { name: "Revoke gateway" }).click();
  const dialog = page.getByRole("alertdialog");
  await expect(dialog).toContainText("its tunnels to other sites drop, and come back with new keys when it is enrolled again");
  await dialog.getByRole("button", { name: "Revoke gateway" }).click();
  await expect(dialog).toBeHidden();
  await expectCutOff(berlin);
  await page.goto(linkPath);
  await expect(tunnelStatus(page, "Down")).toBeVisible({ timeout: 15_000 });
  await expect(page.getByText("The gateway of Amsterdam was revoked and Berlin refuses its certificate")).toBeVisible();
  await expectRefusedAgain(amsterdam, berlin);
  await amsterdam?.stop();
  gateways[0] = await enrol(page, "Amsterdam", net.left, console_.hubSocket);
  await page.goto(linkPath);
  await expect(tunnelStatus(page, "Up")).toBeVisible({ timeout: 20_000 });
  await pingUntilAnswered(net.left, net.right, 5_000);
  expect([await childSpis(gateways[0], linkId()), await childSpis(berlin, linkId())].map((spis) => spis.length)).toEqual([1, 1]);
});

test("authenticates packets without encrypting them when AH is chosen, and says at the field where transport mode cannot be", async () => {
  await page.goto(`${linkPath}/edit`);
  await page.getByText("Advanced", { exact: true }).click();
  await page.getByLabel("Protocol").selectOption("ah");
  const sites: { name: string; gateway: { plane: string } }[] = await (await page.request.get("/api/sites")).json();
  if (sites.every(({ gateway }) => gateway.plane !== "kernel")) {
    await page.getByLabel("Networks at Amsterdam").fill("192.0.2.1/32");
    await page.getByLabel("Networks at Berlin").fill("198.51.100.1/32");
    await page.getByLabel("Mode", { exact: true }).selectOption("transport");
    await page.getByRole("button", { name: "Review changes" }).click();
    await expect(page.getByText(/Transport mode needs a gateway whose kernel has ESP\. That of (Amsterdam|Berlin) protects packets by itself/)).toBeVisible();
    await page.getByLabel("Networks at Amsterdam").fill("10.1.0.0/24");
    await page.getByLabel("Networks at Berlin").fill("10.2.0.0/24");
    await page.getByLabel("Mode", { exact: true }).selectOption("tunnel");
  }
  await page.getByRole("button", { name: "Review changes" }).click();
  await expect(page.getByRole("region", { name: "Preflight" })).toContainText("10.1.0.0/24 ⇄ 10.2.0.0/24 with AH.");
  await page.getByRole("button", { name: "Save changes" }).click();
  await expect(page.getByText("AH: every packet is authenticated and none is encrypted.")).toBeVisible();
  const protocols = async () => {
    const links = await Promise.all(gateways.map((gateway) => linkAt(gateway, linkId())));
    return links.map((link) => link?.ikeSas.flatMap((ike) => ike.childSas.map(({ protocol }) => protocol)));
  };
  // The gateways are told one after the other: the first one asks in vain, the second one asks at once.
  await expect.poll(protocols, { timeout: 20_000 }).toEqual([["ah"], ["ah"]]);
  await pingUntilAnswered(net.left, net.right, 5_000);
  await page.goto(`${linkPath}?tab=sas`);
  await expect(page.getByRole("region", { name: /^Child SA/ }).first()).toContainText("AH, tunnel mode");
});

test("writes no private key to a log, a page or an API answer", async () => {
  const answers = await Promise.all(
    [linkPath, `${linkPath}?tab=history`, "/keys", "/events", `/api${linkPath}`, "/api/keys", "/api/events"].map(async (path) =>
      (await page.request.get(path)).text(),
    ),
  );
  const written = [console_.log(), ...gateways.map((gateway) => gateway.log()), ...answers].join("\n");
  expect(written).toContain("By certificate");
  expect(written).not.toMatch(/BEGIN [A-Z ]*PRIVATE KEY/);
});

test("deletes the link: the certificates that were issued for it are on the revocation list, by its name", async () => {
  await page.goto(linkPath);
  await page.getByRole("button", { name: "More actions" }).click();
  await page.getByRole("menuitem", { name: "Delete…" }).click();
  const dialog = page.getByRole("alertdialog");
  await expect(dialog).toContainText("certificates that this console issued for it are revoked");
  await dialog.getByRole("textbox").fill("By certificate");
  await dialog.getByRole("button", { name: "Delete link" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Links" })).toBeVisible();
  await page.goto("/keys");
  const list = page.getByRole("table", { name: "Revocation list" });
  for (const site of ["Amsterdam", "Berlin"])
    await expect(
      list
        .getByRole("row")
        .filter({ hasText: `By certificate, ${site}` })
        .filter({ hasText: "Link deleted" })
        .first(),
    ).toBeVisible();
  for (const theme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: theme });
    expect((await new AxeBuilder({ page }).analyze()).violations.map(({ id }) => [theme, id])).toEqual([]);
  }
  await page.goto("/events");
  await expect(page.getByRole("listitem").filter({ hasText: /\d certificates of By certificate revoked: it was deleted/ })).toContainText("Ada Admin");
});

/** Those in use; what was revoked has a table of its own. */
const keysInUse = (of: Page) => of.getByRole("table", { name: "Keys and certificates" });

const linkId = () => linkPath.split("/").at(-1) ?? "";

/** The peer has ended every SA of the link by itself, and nothing passes. */
async function expectCutOff(peer: EnrolledGateway | undefined): Promise<void> {
  await expect.poll(() => childSpis(peer, linkId()), { timeout: 15_000 }).toEqual([]);
  expect(await ping(net.left, net.right, { count: 3 })).toMatchObject({ sent: 3, received: 0 });
}

/** Has the revoked end try anew: the peer looks at its certificate again and says no again. */
async function expectRefusedAgain(revoked: EnrolledGateway | undefined, peer: EnrolledGateway | undefined): Promise<void> {
  const refusal = async () => {
    const failure = (await linkAt(peer, linkId()))?.lastFailure;
    expect(failure?.sentence).toMatch(/was revoked by its authority .*\(keyCompromise\)/);
    return failure?.at ?? 0;
  };
  const before = await refusal();
  await revoked?.command(["restart", linkId()]).catch((error: unknown) => expect(String(error)).toMatch(/refused to authenticate/));
  await expect.poll(refusal, { timeout: 15_000 }).toBeGreaterThan(before);
  expect(await childSpis(peer, linkId())).toEqual([]);
  expect(await ping(net.left, net.right, { count: 3 })).toMatchObject({ sent: 3, received: 0 });
}
