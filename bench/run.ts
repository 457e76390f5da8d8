import { readFileSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { exitOnSignals } from "../e2e/lib/cleanup.ts";
import { benchStreams, type StreamFigures } from "./dataplane.ts";

/*
 * `npm run bench [-- --rounds N] [--seconds S] [--json FILE] [--readme]`: the figures that the README quotes, measured beside the peers in one
 * interleaved run. Needs root, iperf3 and strongSwan; a peer that is missing is named, never invented.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "5" },
    json: { type: "string" },
    readme: { type: "boolean", default: false },
  },
});

exitOnSignals();
const streams = await benchStreams(Number(values.rounds), Number(values.seconds), (line) => void process.stderr.write(`${line}\n`));
const table = tableOf(streams);
process.stdout.write(`${table}\n`);
if (values.json !== undefined)
  writeFileSync(values.json, `${JSON.stringify({ measuredAt: new Date().toISOString(), machine: machine(), streams }, null, 2)}\n`);
if (values.readme) writeReadme(table);
process.exit(0);

function tableOf(figures: StreamFigures): string {
  const { medians } = figures;
  const row = (label: string, rate: number | null) => `| ${label} | ${rate === null ? "missing" : Math.round(rate)} |`;
  return [
    `One TCP stream, both ends on the same machine (${machine()}), MTU 1,500, AES-128-GCM, ${figures.rounds} interleaved rounds of ${figures.secondsEach} s, ${new Date().toISOString().slice(0, 10)}:`,
    "",
    "| Path | Median Mbit/s |",
    "|---|---|",
    row("Culvert (TUN plane, both ends)", medians.culvert),
    row("strongSwan, userspace ESP (kernel-libipsec, both ends)", medians["strongswan-kernel-libipsec"]),
    row("no tunnel (veth)", medians.veth),
    "",
    figures.ratio === null ? "No ratio: a peer is missing." : `Culvert carries ${figures.ratio.toFixed(1)} × what kernel-libipsec does.`,
    ...figures.missing.map((reason) => `Missing: ${reason}`),
  ].join("\n");
}

function machine(): string {
  return `${cpus().length} cores, Linux ${release().split("-")[0]}`;
}

function writeReadme(text: string): void {
  const file = fileURLToPath(new URL("../README.md", import.meta.url));
  const readme = readFileSync(file, "utf8");
  const begin = "<!-- bench:begin -->";
  const end = "<!-- bench:end -->";
  const from = readme.indexOf(begin);
  const to = readme.indexOf(end);
  if (from < 0 || to < from) throw new Error(`README.md has no ${begin} … ${end}`);
  writeFileSync(file, `${readme.slice(0, from + begin.length)}\n${text}\n${readme.slice(to)}`);
}
