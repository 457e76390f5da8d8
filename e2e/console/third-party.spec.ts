import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import AxeBuilder from "@axe-core/playwright";
import { type BrowserContext, expect, type Page, test } from "@playwright/test";
import { type Charon, startCharon } from "../lib/charon.ts";
import { makeThreeNamespaces, sweepLeftovers, type ThreeNamespaces } from "../lib/namespaces.ts";
import { type KeyPair, makeAuthority, type TestAuthority } from "../lib/pki.ts";
import { runCommand } from "../lib/run-command.ts";
import { startPing } from "../lib/traffic.ts";
import { type ConsoleUnderTest, startConsoleUnderTest } from "./console-under-test.ts";
import type { EnrolledGateway } from "./enrolled-gateway.ts";
import { createSite, enrol, next, setUp, tunnelStatus } from "./steps.ts";

/*
 * A link to strongSwan with a certificate of an authority that both know: brought as a file, used in the wizard, and what the Advanced
 * fields of the link do. Each test goes on where the one before ended.
 */
test.describe.configure({ mode: "serial" });

const password = "correct horse";
let console_: ConsoleUnderTest;
let net: ThreeNamespaces;
let context: BrowserContext;
let page: Page;
let gateway: EnrolledGateway | undefined;
let peer: Charon | undefined;
let linkPath = "";
const directory = mkdtempSync(join(tmpdir(), "cvt-"));

test.beforeAll(async ({ browser }) => {
  sweepLeftovers("cvt");
  net = await makeThreeNamespaces("cvt");
  const authority = await makeAuthority("ecdsa-p256", "Partner authority");
  const [own, other, partners] = [
    await authority.issue("amsterdam.example"),
    await authority.issue("amsterdam.example"),
    await authority.issue("partner.example"),
  ];
  await writeContainer(own, authority);
  writeFileSync(join(directory, "spare.pem"), other.certificatePem + other.privateKeyPem);
  peer = await startPeer(authority, partners);
  console_ = await startConsoleUnderTest();
  context = await browser.newContext({ baseURL: console_.url });
  page = await context.newPage();
});

test.afterAll(async () => {
  await context?.close();
  await gateway?.stop();
  await peer?.stop();
  await console_?.remove();
  net?.remove();
  rmSync(directory, { recursive: true, force: true });
});

test("says at the field that the password of a PKCS #12 file is wrong, and takes the file with the right one", async () => {
  await setUp(page, console_.setupCode);
  await createSite(page, { name: "Amsterdam", network: "10.1.0.0/24", address: "192.0.2.1" });
  gateway = await enrol(page, "Amsterdam", net.left, console_.hubSocket);
  await page.goto("/keys");
  const dialog = await openImport();
  await dialog.getByLabel("File", { exact: true }).setInputFiles(join(directory, "own.p12"));
  await dialog.getByLabel("Password of the file").fill("guess");
  await dialog.getByRole("button", { name: "Import", exact: true }).click();
  await expect(dialog.getByText(/password does not open the file/)).toBeVisible();
  await expect(dialog.getByLabel("Password of the file")).toHaveAttribute("aria-invalid", "true");
  for (const theme of ["light", "dark"] as const) await expectAccessible(theme);
  await dialog.getByLabel("Password of the file").fill(password);
  await dialog.getByRole("button", { name: "Import", exact: true }).click();
  await expect(dialog).toBeHidden();
  const row = page.getByRole("row").filter({ hasText: "CN=amsterdam.example" });
  await expect(row).toContainText("Imported certificate");
  await expect(row).toContainText("nothing");
});

test("takes PEM, and says which authority a peer must have when the file does not hold it", async () => {
  const dialog = await openImport();
  await dialog.getByLabel("File", { exact: true }).setInputFiles(join(directory, "spare.pem"));
  await dialog.getByLabel("Name", { exact: true }).fill("Spare");
  await dialog.getByRole("button", { name: "Import", exact: true }).click();
  await expect(dialog.getByRole("status")).toContainText("CN=Partner authority");
  await dialog.getByRole("button", { name: "Understood" }).click();
  await expect(page.getByRole("row").filter({ hasText: "Spare" })).toBeVisible();
});

test("brings a link to a third-party peer up with the imported certificate", async () => {
  await page.goto("/links/new");
  await page.getByRole("combobox", { name: "First site" }).selectOption({ label: "Amsterdam" });
  await page.getByRole("radio", { name: "a third-party peer" }).check();
  await page.getByRole("textbox", { name: "Peer name" }).fill("Partner");
  await page.getByRole("textbox", { name: "Peer address" }).fill("198.51.100.1");
  await page.getByRole("textbox", { name: "Peer identity" }).fill("partner.example");
  await page.getByRole("textbox", { name: "Link name" }).fill("To the partner");
  await next(page);
  await page.getByLabel("Networks at Partner").fill("10.2.0.0/24");
  await next(page);
  await page.getByRole("radio", { name: "NIST curves" }).check();
  await page.getByRole("radio", { name: "certificates" }).check();
  await next(page);
  await expect(page.getByText("Choose the certificate to show to the peer")).toBeVisible();
  await page.getByRole("combobox", { name: "Our certificate" }).selectOption({ label: await optionOf("CN=amsterdam.example") });
  await expect(page.getByText("Our end calls itself amsterdam.example")).toBeVisible();
  await next(page);
  await expect(page.getByRole("region", { name: "Preflight" })).toContainText("would agree on");
  await page.getByRole("button", { name: "Create link" }).click();
  await page.getByRole("link", { name: "Open link" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "To the partner" })).toBeVisible();
  linkPath = new URL(page.url()).pathname;
  await expect(tunnelStatus(page, "Up")).toBeVisible({ timeout: 20_000 });
  expect((await peer?.listSas())?.map((sa) => sa.remoteIdentity)).toEqual(["amsterdam.example"]);
});

test("replaces the certificate of the link by another imported one while echoes pass: none is lost", async () => {
  const ping = await startPing(net.left, net.right, 0.02);
  const before = (await peer?.listSas())?.map((sa) => sa.spiI);
  await page.getByRole("button", { name: "More actions" }).click();
  await page.getByRole("menuitem", { name: "Replace certificate…" }).click();
  const dialog = page.getByRole("dialog", { name: "Replace certificate" });
  await dialog.getByRole("button", { name: "Replace", exact: true }).click();
  await expect(dialog.getByText("Choose the certificate to show to the peer")).toBeVisible();
  for (const theme of ["light", "dark"] as const) await expectAccessible(theme);
  const choice = dialog.getByLabel("New certificate");
  await choice.selectOption({ label: (await choice.locator("option", { hasText: "Spare" }).innerText()).trim() });
  await dialog.getByRole("button", { name: "Replace", exact: true }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Rotations" })).toBeVisible();
  await expect(page.locator("[data-status]", { hasText: "Succeeded" }).first()).toBeVisible({ timeout: 60_000 });
  expect((await ping.stop()).lost).toBe(0);
  expect((await peer?.listSas())?.map((sa) => sa.spiI)).not.toEqual(before);
  await page.goto("/keys");
  await expect(page.getByRole("row").filter({ hasText: "Spare" })).toContainText("To the partner");
  await expect(page.getByRole("row").filter({ hasText: "CN=amsterdam.example" })).toContainText("nothing");
});

test("sets every Advanced option, shows each in the review, and the gateway takes them", async () => {
  await page.goto(`${linkPath}/edit`);
  await page.getByText("Advanced", { exact: true }).click();
  await page.getByLabel("Close when unused, seconds").fill("3");
  await page.getByRole("button", { name: "Review changes" }).click();
  await expect(page.getByText("A link that is kept up closes nothing.")).toBeVisible();
  // It is put right at another field.
  await page.getByLabel("Bring up").selectOption("On demand");
  await expect(page.getByText("A link that is kept up closes nothing.")).toBeHidden();
  await page.getByLabel("When the peer is silent").selectOption("Wait for the next packet");
  await page.getByLabel("Childless: authenticate first").check();
  await page.getByLabel("Replay window, packets").fill("32");
  // The click leaves the field, whose mistake is then told above what is clicked: it is ticked all the same.
  await page.getByLabel("Extended sequence numbers").click();
  await expect(page.getByText("At least 64 packets.")).toBeVisible();
  await expect(page.getByLabel("ESP proposals")).toHaveValue("aes256gcm16-ecp384-esn-noesn");
  await page.getByLabel("UDP encapsulation").selectOption("Always");
  await page.getByLabel("Protocol").selectOption("ah");
  await expect(page.getByLabel("AH proposals")).toHaveValue(/^sha256-x25519/);
  await page.getByLabel("Mode", { exact: true }).selectOption("transport");
  await page.getByLabel("Revoked certificates").selectOption("Do not look");
  await page.getByRole("button", { name: "Review changes" }).click();
  await expect(page.getByText("At least 64 packets.")).toBeVisible();
  await expect(page.getByText("AH does not go in UDP.")).toBeVisible();
  await expect(page.getByText("10.1.0.0/24 is a network, and transport mode carries only what the two gateways say to each other.")).toBeVisible();
  for (const theme of ["light", "dark"] as const) await expectAccessible(theme);
  await page.getByLabel("Protocol").selectOption("esp");
  await page.getByLabel("Mode", { exact: true }).selectOption("tunnel");
  await expect(page.getByText("AH does not go in UDP.")).toBeHidden();
  await page.getByLabel("Replay window, packets").fill("2048");
  await page.getByRole("button", { name: "Review changes" }).click();
  await expect(page.getByText("What changes at each gateway")).toBeVisible();
  for (const option of ["onDemand", "trap", "childless", "2048", "esn-noesn", "udp", "inactivitySeconds", "revocation"])
    await expect(page.getByText(option).first()).toBeVisible();
  await page.getByRole("button", { name: "Save changes" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "To the partner", exact: true })).toBeVisible();
  await expect
    .poll(async () => (await (await page.request.get(`/api${linkPath}`)).json()).ends[0].push, { timeout: 10_000 })
    .toEqual({ state: "applied", reason: null });
});

test("closes the tunnel when nothing has passed for the time, says so, and the next packet brings it back", async () => {
  await expect.poll(async () => (await peer?.listSas())?.length, { timeout: 20_000 }).toBe(0);
  await expect(tunnelStatus(page, "Idle")).toBeVisible({ timeout: 10_000 });
  await expect(page.getByText("Closed after 3 s without a packet, until the next; round trips are not measured.")).toBeVisible();
  const ping = await startPing(net.left, net.right, 0.2);
  await page.goto(`${linkPath}?tab=sas`);
  const child = page.getByRole("region", { name: /^Child SA/ }).first();
  await expect(child).toContainText(/ESP in UDP, tunnel mode/);
  await expect(child).toContainText(/, closed .* unless a packet passes/);
  await ping.stop();
  await expect.poll(async () => (await peer?.listSas())?.length, { timeout: 20_000 }).toBe(0);
});

test("keeps them all when the next edit changes something else, and says in History what each edit changed", async () => {
  await page.goto(`${linkPath}/edit`);
  // What is not as usual is shown without a click.
  await expect(page.getByLabel("When the peer is silent")).toHaveValue("trap");
  await page.getByLabel("Link name").fill("Partner, renamed");
  await page.getByRole("button", { name: "Review changes" }).click();
  await page.getByRole("button", { name: "Save changes" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Partner, renamed", exact: true })).toBeVisible();
  const versions = await (await page.request.get(`/api${linkPath}/versions`)).json();
  expect(versions[0].config).toEqual({ ...versions[1].config, name: "Partner, renamed" });
  expect(versions[0].config).toMatchObject({
    bringUp: "onDemand",
    revocation: "off",
    encapsulation: "udp",
    inactivitySeconds: 3,
    ike: { livenessAction: "trap", childless: true },
  });
  await page.goto(`${linkPath}?tab=history`);
  await expect(page.getByText("Changed when it is brought up, revocation, encapsulation, when it is closed, IKE, and ESP")).toBeVisible();
});

async function openImport() {
  await page.getByRole("button", { name: "Import certificate" }).click();
  return page.getByRole("dialog", { name: "Import certificate" });
}

async function optionOf(name: string): Promise<string> {
  return (await page.getByRole("combobox", { name: "Our certificate" }).locator("option", { hasText: name }).innerText()).trim();
}

async function expectAccessible(theme: "light" | "dark"): Promise<void> {
  await page.emulateMedia({ colorScheme: theme });
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map((violation) => ({ theme, id: violation.id, nodes: violation.nodes.map((node) => node.html).slice(0, 3) }))).toEqual([]);
}

async function writeContainer(own: KeyPair, authority: TestAuthority): Promise<void> {
  const file = (name: string, content: string) => {
    writeFileSync(join(directory, name), content, { mode: 0o600 });
    return join(directory, name);
  };
  const parts = [
    "-in",
    file("own.pem", own.certificatePem),
    "-inkey",
    file("own.key", own.privateKeyPem),
    "-certfile",
    file("ca.pem", authority.certificatePem),
  ];
  await runCommand(["openssl", "pkcs12", "-export", ...parts, "-passout", `pass:${password}`, "-out", join(directory, "own.p12")]);
}

function startPeer(authority: TestAuthority, partners: KeyPair): Promise<Charon> {
  return startCharon(net.right, directory, {
    connections: {
      site: {
        version: 2,
        local_addrs: "198.51.100.1",
        remote_addrs: "192.0.2.1",
        proposals: "aes256gcm16-prfsha384-ecp384",
        local: { auth: "pubkey", id: "partner.example", certs: "own0.pem" },
        remote: { auth: "pubkey", id: "amsterdam.example" },
        children: { net: { local_ts: "10.2.0.0/24", remote_ts: "10.1.0.0/24", esp_proposals: "aes256gcm16-ecp384" } },
      },
    },
    certificates: [partners],
    authorities: [authority.certificatePem],
  });
}
