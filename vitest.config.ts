import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{agent,app,contract,server,scripts,docker,bench}/**/*.test.{ts,tsx}", "e2e/lib/**/*.test.ts"],
    // Files that start threads, a Postgres or namespaces share two cores.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // What is waited for is an event: how long it may take on a busy machine is not what a test is about.
    expect: { poll: { timeout: 10_000 } },
  },
});
