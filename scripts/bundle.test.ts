import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { nodeProgram, root } from "./setup.mjs";

const directory = mkdtempSync(join(tmpdir(), "culvert-bundle-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function agent(program: string, args: readonly string[]): { code: number; output: string } {
  try {
    return { code: 0, output: execFileSync(nodeProgram(), [program, ...args], { cwd: directory, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }) };
  } catch (error) {
    if (!(error instanceof Error && "status" in error && "stderr" in error)) throw error;
    return { code: Number(error.status), output: String(error.stderr) };
  }
}

describe("the gateway's command", () => {
  it("is the same from a checkout and from the bundle", () => {
    const fromSources = agent(join(root, "scripts/culvert-agent.mjs"), ["--help"]);
    const fromBundle = agent(join(root, "dist/agent/main.mjs"), ["--help"]);
    expect(fromSources.output).toContain("culvert-agent");
    expect(fromBundle).toEqual(fromSources);
  });

  it("refuses a bad configuration with exit code 2, from the launcher too", () => {
    const file = join(directory, "bad.yaml");
    writeFileSync(file, "links: 7\n");
    const { code, output } = agent(join(root, "scripts/culvert-agent.mjs"), ["check", "--config", file]);
    expect(code).toBe(2);
    expect(output).toContain("bad.yaml");
  });

  it("has each worker thread's program beside the bundle", () => {
    for (const name of ["inbound-worker.mjs", "outbound-worker.mjs"]) expect(existsSync(join(root, "dist/agent", name)), name).toBe(true);
  });

  it("is named in package.json, so that npx finds it", () => {
    expect(JSON.parse(readFileSync(join(root, "package.json"), "utf8")).bin).toEqual({ "culvert-agent": "scripts/culvert-agent.mjs" });
  });
});
