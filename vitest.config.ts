import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{agent,app,contract,server,scripts,docker,bench}/**/*.test.{ts,tsx}", "e2e/lib/**/*.test.ts"],
    // Files that start threads, a Postgres or namespaces share two cores.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
