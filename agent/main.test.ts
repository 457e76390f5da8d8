import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { exampleYaml } from "./runtime/test-doubles.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "cvrt-main-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

function agent(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [fileURLToPath(new URL("./main.ts", import.meta.url)), ...args], (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === "number" ? error.code : 0, stdout, stderr });
    });
  });
}

test("a bad configuration ends with code 2 and every problem on a line of its own", async () => {
  const path = join(directory, "site.yaml");
  writeFileSync(path, exampleYaml.replace("10.2.0.0/24", "10.2.0.1/24").replace("use: k1", "use: k2"));
  for (const args of [
    ["check", "--config", path],
    ["--config", path, "--socket", join(directory, "s")],
  ]) {
    const { code, stdout, stderr } = await agent(...args);
    expect([code, stdout]).toEqual([2, ""]);
    expect(
      stderr
        .trim()
        .split("\n")
        .map((line) => line.split(": ")[0]),
    ).toEqual(["site.yaml:14", "site.yaml:20"]);
  }
});

test("check, schema, version and help answer without an agent", async () => {
  const path = join(directory, "good.yaml");
  writeFileSync(path, exampleYaml);
  expect(await agent("check", "--config", path)).toMatchObject({ code: 0, stdout: expect.stringContaining("1 link(s)") });
  expect(JSON.parse((await agent("schema")).stdout)).toMatchObject({ title: "Culvert gateway", type: "object" });
  expect((await agent("--version")).stdout).toMatch(/^culvert-agent \d+\.\d+\.\d+\n$/);
  expect((await agent("--help")).stdout).toContain("culvert-agent rekey LINK");
});

test("a misused command line is code 2, an agent that does not answer code 1", async () => {
  expect(await agent("explode")).toMatchObject({ code: 2, stderr: expect.stringContaining("--help lists them") });
  expect(await agent("status", "--socket", join(directory, "none.sock"))).toMatchObject({ code: 1, stderr: expect.stringContaining("no agent answers") });
});

/** The other end of the example. */
const mirrored = exampleYaml
  .replace("name: amsterdam", "name: berlin")
  .replace("id: berlin", "id: amsterdam")
  .replace("address: 198.51.100.1, identity: b.example", "address: 198.51.100.2, identity: a.example")
  .replace("identity: a.example }\n    remote", "identity: b.example }\n    remote")
  .replace("10.1.0.0/24", "10.9.9.0/24")
  .replace("10.2.0.0/24", "10.1.0.0/24")
  .replace("10.9.9.0/24", "10.2.0.0/24");

test("preflight says what two files would agree on, why they would not work, and what is wrong with the request, by its exit code", async () => {
  const [a, b, c] = ["a.yaml", "b.yaml", "c.yaml"].map((name) => join(directory, name)) as [string, string, string];
  writeFileSync(a, exampleYaml);
  writeFileSync(b, mirrored);
  writeFileSync(c, mirrored.replace("prfsha384-x25519", "prfsha384-modp2048"));
  const good = await agent("preflight", a, b);
  expect(good).toMatchObject({ code: 0, stderr: "" });
  expect(good.stdout.split("\n").slice(0, 7)).toEqual([
    "amsterdam and berlin would agree:",
    "  begins     amsterdam",
    "  IKE        aes256gcm16-prfsha384-x25519",
    '  amsterdam  a.example, pre-shared key "k1"',
    '  berlin     b.example, pre-shared key "k1"',
    "  in         UDP, port 4500",
    "  lan        10.1.0.0/24 ⇄ 10.2.0.0/24, ESP aes256gcm16",
  ]);
  const bad = await agent("preflight", a, c, "--link", "berlin", "--json");
  expect(bad.code).toBe(1);
  expect(JSON.parse(bad.stdout)).toEqual({
    outcome: "refused",
    code: "NO_PROPOSAL_CHOSEN",
    sentence: "amsterdam offers group x25519 only for IKE, berlin only modp2048: add x25519 to berlin or modp2048 to amsterdam.",
  });
  for (const output of [good, bad]) expect(JSON.stringify(output)).not.toContain("correct-horse-battery");
  expect(await agent("preflight", a, b, "--link", "paris")).toMatchObject({ code: 2, stderr: 'culvert-agent: amsterdam has no link "paris"\n' });
  expect(await agent("preflight", a)).toMatchObject({ code: 2 });
  expect(await agent("preflight", a, join(directory, "none.yaml"))).toMatchObject({ code: 2, stderr: expect.stringContaining("cannot be read") });
});
