// Bundles the gateway into dist/agent: main.mjs and, beside it, each of its worker threads' programs (agent/**/*-worker.ts).
// Only koffi, which has native code, stays outside.
import { readdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { build } from "esbuild";
import { root } from "./setup.mjs";

const out = join(root, "dist/agent");
rmSync(out, { recursive: true, force: true });

for (const entry of [join(root, "agent/main.ts"), ...workersIn(join(root, "agent"))]) {
  await build({
    entryPoints: [entry],
    outfile: join(out, basename(entry).replace(/\.ts$/, ".mjs")),
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node22",
    sourcemap: true,
    // The runtime keeps the text in memory, two octets a character as soon as one is beyond Latin-1, as some comments are. Names stay as they are.
    minifyWhitespace: true,
    legalComments: "linked",
    logLevel: "warning",
    external: ["koffi", "bufferutil", "utf-8-validate"],
    // CommonJS packages inside an ES module still call require for Node's own modules.
    banner: { js: 'import { createRequire as culvertCreateRequire } from "node:module"; const require = culvertCreateRequire(import.meta.url);' },
  });
}

function workersIn(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.isDirectory()) return workersIn(join(folder, entry.name));
    return entry.name.endsWith("-worker.ts") ? [join(folder, entry.name)] : [];
  });
}
