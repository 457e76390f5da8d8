import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { exitOnSignals } from "../e2e/lib/cleanup.ts";
import { benchConsole, type ConsoleFigures } from "./console.ts";
import { benchIke, ikeTable } from "./ike.ts";
import { benchFlood, floodText } from "./flood.ts";
import { benchDataplane } from "./dataplane.ts";
import { dataplaneText, drawDataplane } from "./dataplane-report.ts";
import { benchSas, sasText } from "./sas.ts";
import { benchSoak, soakText } from "./soak.ts";
import { benchXfrm, type XfrmFigures, xfrmText } from "./xfrm.ts";

/*
 * `npm run bench [-- --rounds N] [--seconds S] [--json FILE] [--readme]`: the figures that the README quotes, measured beside the peers in one
 * interleaved run, and the console's own latencies. Needs root, iperf3, strongSwan and Chromium; a peer that is missing is named, never invented.
 * `npm run bench dataplane [-- --only NAME,…]`: the data planes alone (dataplane.ts), or some of its contenders and "growth". `npm run bench ike [-- --handshakes N] [--rounds N] [--json FILE]`: handshakes (ike.ts).
 * `npm run bench xfrm [-- --rounds N] [--readme]`: the kernel's ESP alone, which the data planes' bench ends with too (xfrm.ts).
 * `npm run bench flood [-- --rate N] [--seconds S]`: a gateway under a flood of IKE_SA_INIT, 30 s of it (flood.ts).
 * `npm run bench sas [culvert | charon] [-- --links N]`: memory of a gateway with 10,000 links, each of whose SAs is rekeyed (sas.ts).
 * `npm run bench soak [-- --seconds S]`: a gateway's memory and collections under traffic and rekeys, an hour of it (soak.ts).
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    handshakes: { type: "string", default: "1000" },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string" },
    rate: { type: "string", default: "20000" },
    links: { type: "string", default: "10000" },
    only: { type: "string" },
    json: { type: "string" },
    readme: { type: "boolean", default: false },
  },
});

/** A kernel that runs as a program varies, and takes its time: rounds as short as can be, and not fewer than this, which say something of the median. */
const leastKernelRounds = 20;
const kernelSeconds = 1;

exitOnSignals();
const secondsOr = (usual: number): number => (values.seconds === undefined ? usual : Number(values.seconds));
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const [only = "all", gateway] = positionals;
if (only === "ike") {
  const ike = await benchIke(Number(values.handshakes), Number(values.rounds), say);
  process.stdout.write(`${ikeTable(ike)}\n`);
  writeJson({ ike });
  process.exit(0);
}
if (only === "flood") {
  const flood = await benchFlood(Number(values.rate), secondsOr(30), say);
  process.stdout.write(`${floodText(flood)}\n`);
  writeJson({ flood });
  process.exit(0);
}
if (only === "sas") {
  const sas = await benchSas(Number(values.links), gateway, say);
  process.stdout.write(`${sasText(sas)}\n`);
  writeJson({ sas });
  process.exit(0);
}
if (only === "soak") {
  const soak = await benchSoak(secondsOr(3_600), say);
  process.stdout.write(`${soakText(soak)}\n`);
  writeJson({ soak });
  process.exit(0);
}
if (only === "xfrm") {
  writeJson({ xfrm: await measureXfrm() });
  process.exit(0);
}
if (only !== "all" && only !== "dataplane") throw new Error(`There is no bench "${only}": there are dataplane, xfrm, ike, flood, sas and soak.`);
const dataplane = await benchDataplane(Number(values.rounds), secondsOr(2), say, values.only?.split(","));
const table = dataplaneText(dataplane, machine());
process.stdout.write(`${table}\n`);
if (values.readme) {
  writeReadme("dataplane", table);
  writeFileSync(fromRoot("docs/images/dataplane.svg"), drawDataplane(dataplane));
}
const xfrm = values.only === undefined ? { xfrm: await measureXfrm() } : {};
if (only === "dataplane") {
  writeJson({ dataplane, ...xfrm });
  process.exit(0);
}
const console_ = await benchConsole(say);
process.stdout.write(`${latencyTable(console_)}\n`);
writeJson({ dataplane, ...xfrm, console: console_ });
if (values.readme) writeReadme("console", latencyTable(console_));
process.exit(0);

async function measureXfrm(): Promise<XfrmFigures> {
  const figures = await benchXfrm(Math.max(leastKernelRounds, Number(values.rounds)), kernelSeconds, say);
  const text = xfrmText(figures);
  process.stdout.write(`${text}\n`);
  if (values.readme) writeReadme("xfrm", text);
  return figures;
}

/** Each section with the time and the machine it is of; those that were not measured now stay as they are. */
function writeJson(figures: object): void {
  const file = values.json ?? (values.readme ? fromRoot("docs/bench.json") : null);
  if (file === null) return;
  const before: object = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
  const measured = { measuredAt: new Date().toISOString(), machine: machine() };
  const sections = Object.fromEntries(Object.entries(figures).map(([name, section]) => [name, { ...measured, ...section }]));
  writeFileSync(file, `${JSON.stringify({ ...before, ...sections }, null, 2)}\n`);
}

function latencyTable({ saveToApplied, changeToVisible }: ConsoleFigures): string {
  const row = (label: string, { samples, p50, p95, most }: ConsoleFigures["saveToApplied"]) => `| ${label} | ${samples} | ${p50} | ${p95} | ${most} |`;
  return [
    "A real console, hub and Postgres, two gateways and a browser on that machine, milliseconds (no peer has a counterpart):",
    "",
    "| From … to … | Samples | p50 | p95 | Most |",
    "|---|---|---|---|---|",
    row("the click that saves → applied on both gateways", saveToApplied),
    row("a command at a gateway (its start included) → the tunnel's new state on the open page", changeToVisible),
  ].join("\n");
}

function machine(): string {
  return `${cpus().length} cores, Linux ${release().split("-")[0]}`;
}

/** Into the README, between the marks of this name. */
function writeReadme(name: string, text: string): void {
  const file = fromRoot("README.md");
  const readme = readFileSync(file, "utf8");
  const begin = `<!-- bench-${name}:begin -->`;
  const end = `<!-- bench-${name}:end -->`;
  const from = readme.indexOf(begin);
  const to = readme.indexOf(end);
  if (from < 0 || to < from) throw new Error(`README.md has no ${begin} … ${end}`);
  writeFileSync(file, `${readme.slice(0, from + begin.length)}\n${text}\n${readme.slice(to)}`);
}

function fromRoot(path: string): string {
  return fileURLToPath(new URL(`../${path}`, import.meta.url));
}
