import { parseArgs } from "node:util";
import { loadCorpus, saveCorpus } from "./corpus.ts";
import { search } from "./search.ts";
import { targets } from "./targets.ts";

/*
 * `npm run fuzz [-- TARGET…] [--seconds N] [--seed S] [--save]`: mutates inputs towards code that none has reached, for each target. Prints what broke
 * as base64; `--save` keeps the inputs that reached new code for `npm test`. Exit code 1: something broke.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "20" },
    seed: { type: "string", default: `${Date.now() % 1_000_000}` },
    save: { type: "boolean", default: false },
  },
});
const chosen = targets.filter((target) => positionals.length === 0 || positionals.includes(target.name));
if (chosen.length === 0) throw new Error(`There is no such target; there are ${targets.map((target) => target.name).join(", ")}.`);
process.stdout.write(`seed ${values.seed}\n`);
for (const target of chosen) {
  const { executions, reached, corpus, finding } = search(target, loadCorpus(target.name), Number(values.seconds) * 1_000, Number(values.seed));
  process.stdout.write(`${target.name.padEnd(20)} ${executions} inputs, ${reached} characters of code reached, ${corpus.length} inputs kept\n`);
  if (finding !== null) {
    process.exitCode = 1;
    process.stdout.write(`  BROKEN by ${Buffer.from(finding.input).toString("base64")}\n  ${finding.error.stack}\n`);
  } else if (values.save) saveCorpus(target.name, corpus);
}
