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
