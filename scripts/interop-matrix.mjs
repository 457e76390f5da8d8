// Writes the interop matrix into README.md, between its two markers, from what `npm run interop -- --json FILE` found.
// Usage: node scripts/interop-matrix.mjs FILE [README]

import { readFileSync, writeFileSync } from "node:fs";

const begin = "<!-- interop:begin -->";
const end = "<!-- interop:end -->";

const [resultsFile, readmeFile = "README.md"] = process.argv.slice(2);
if (resultsFile === undefined) fail("usage: interop-matrix.mjs RESULTS.json [README.md]");

const { peer, results } = JSON.parse(readFileSync(resultsFile, "utf8"));
const readme = readFileSync(readmeFile, "utf8");
const from = readme.indexOf(begin);
const to = readme.indexOf(end);
if (from < 0 || to < from) fail(`${readmeFile} has no ${begin} … ${end}`);
writeFileSync(readmeFile, `${readme.slice(0, from + begin.length)}\n${matrix(peer, results)}\n${readme.slice(to)}`);

/** A table with one row a scenario. */
function matrix(peerName, rows) {
  const passed = rows.filter((row) => row.passed).length;
  const lines = rows.map((row) => `| ${row.name} | ${escapeCell(row.description)} | ${row.passed ? "passes" : "**fails**"} |`);
  return [`${passed} of ${rows.length} scenarios pass against ${peerName}.`, "", "| Scenario | What holds | Result |", "|---|---|---|", ...lines].join("\n");
}

function escapeCell(text) {
  return text.replaceAll("|", "\\|");
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}
