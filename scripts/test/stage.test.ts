import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { add, closingLine, runInGroup } from "./stage.ts";

describe("the closing line", () => {
  it("counts a skipped test as failed in CI and names it elsewhere", () => {
    const counts = add({ passed: 3, failed: 1, skipped: 0 }, { passed: 2, failed: 0, skipped: 4 });
    expect(closingLine(counts, true)).toBe("5 passed, 5 failed");
    expect(closingLine(counts, false)).toBe("5 passed, 1 failed, 4 skipped");
  });
});

describe("a stage's process group", () => {
  it("leaves nothing running that the program started and forgot", async () => {
    const directory = mkdtempSync(join(tmpdir(), "culvert-stage-"));
    try {
      const file = join(directory, "pid");
      expect(await runInGroup("sh", ["-c", `sleep 300 & echo $! > ${file}`])).toBe(0);
      const pid = readFileSync(file, "utf8").trim();
      await expect.poll(() => existsSync(`/proc/${pid}`) && readFileSync(`/proc/${pid}/stat`, "latin1").includes(") S ")).toBe(false);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it("is ended after its time, and then counts as failed", async () => {
    expect(await runInGroup("sleep", ["300"], { timeoutSeconds: 0.2 })).not.toBe(0);
  });
});
