// Bundles the gateway into dist/agent: main.mjs and one file for each worker thread. Only koffi, which has native code, stays outside.
import { rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { build } from "esbuild";
import { root } from "./setup.mjs";

const out = join(root, "dist/agent");
rmSync(out, { recursive: true, force: true });

const waiting = [join(root, "agent/main.ts")];
const bundled = new Set();
for (let entry = waiting.shift(); entry !== undefined; entry = waiting.shift()) {
  if (bundled.has(entry)) continue;
  bundled.add(entry);
  await build({
    entryPoints: [entry],
    outfile: join(out, bundleName(entry)),
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node22",
    sourcemap: true,
    legalComments: "linked",
    logLevel: "warning",
    external: ["koffi", "bufferutil", "utf-8-validate"],
    // CommonJS packages inside an ES module still call require for Node's own modules.
    banner: { js: 'import { createRequire as culvertCreateRequire } from "node:module"; const require = culvertCreateRequire(import.meta.url);' },
    plugins: [{ name: "worker-entries", setup: bundleWorkers }],
  });
}

/** `new URL("./x-worker.ts", import.meta.url)` names a file that is loaded at run time: it becomes an entry of its own. */
function bundleWorkers(builder) {
  builder.onLoad({ filter: /[\\/]agent[\\/].*\.ts$/ }, async ({ path }) => {
    const source = await readFile(path, "utf8");
    const contents = source.replace(/new URL\(\s*(["'`])(\.{1,2}\/[^"'`$]+\.ts)\1,\s*import\.meta\.url\s*\)/g, (_, _quote, target) => {
      const entry = resolve(dirname(path), target);
      waiting.push(entry);
      return `new URL("./${bundleName(entry)}", import.meta.url)`;
    });
    return { contents, loader: "ts" };
  });
}

function bundleName(entry) {
  return basename(entry).replace(/\.ts$/, ".mjs");
}
