import { existsSync } from "node:fs";
import { chromium, defineConfig, devices } from "@playwright/test";

const bundled = chromium.executablePath();
const executablePath = existsSync(bundled) ? bundled : "/usr/bin/chromium";

/** The browser tests run against a real console, hub, Postgres and gateways, one file after the other. */
export default defineConfig({
  testDir: "e2e/console",
  testMatch: "**/*.spec.ts",
  workers: 1,
  fullyParallel: false,
  retries: 0,
  timeout: 120_000,
  forbidOnly: process.env["CI"] === "true",
  outputDir: "test-results",
  use: {
    ...devices["Desktop Chrome"],
    ignoreHTTPSErrors: true,
    // Colours are looked at, and one that is half-way to another is none of them.
    contextOptions: { reducedMotion: "reduce" },
    screenshot: "only-on-failure",
    trace: "retain-on-failure",
    launchOptions: {
      executablePath,
      args: [
        ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-quic",
        "--no-first-run",
        "--disable-gpu",
      ],
    },
  },
});
