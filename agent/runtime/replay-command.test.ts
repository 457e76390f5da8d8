import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { replay } from "../ike/diagnosis/replay.ts";
import { ownVerdict } from "../ike/diagnosis/verdict.ts";
import type { LinkConfig } from "../ike/endpoint-types.ts";
import { failureScenarios } from "../testing/failures.ts";
import { linkConfigs, type Side } from "../testing/pair.ts";
import { UsageError } from "./command-line.ts";
import { formatReplay, runReplay } from "./replay-command.ts";
import { buildTraceFile, readTraceFile } from "./trace-file.ts";
import { TraceLog } from "./trace-log.ts";
import { sourceOf } from "../testing/traced.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "cvrt-replay-"));
});
afterAll(() => rmSync(directory, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

function fileText(side: Side, config: LinkConfig): string {
  const log = new TraceLog();
  for (const record of side.trace) log.add(sourceOf(record));
  const parts = { gateway: "amsterdam", agentVersion: "0.1.0", exportedAt: 1_800_000_000_000, config };
  return JSON.stringify(buildTraceFile({ ...parts, entries: log.forFile(config.id, 1_000) }));
}

for (const scenario of failureScenarios) {
  test(`the exported file of "${scenario.name}" replays to the verdict that each end came to`, async () => {
    const { pair, configs } = await scenario.provoke();
    for (const [side, config] of [
      [pair.a, configs.a],
      [pair.b, configs.b],
    ] as const) {
      const read = readTraceFile(fileText(side, config));
      const expected = ownVerdict(side.trace);
      const result = replay(read.config, read.records);
      expect(result.verdict).toEqual(expected);
      expect(formatReplay(read, result)).toContain(`verdict: ${expected === null ? "nothing went wrong" : `${expected.sentence} (${expected.code})`}\n`);
    }
  });
}

function captured(run: () => number): { code: number; output: string } {
  let output = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    output += String(text);
    return true;
  });
  return { code: run(), output };
}

test("prints what was received, what was chosen and why, and the verdict", async () => {
  const { pair, configs } = await failureScenarios[0]!.provoke();
  const file = join(directory, "trace.json");
  writeFileSync(file, fileText(pair.b, configs.b));
  const text = captured(() => runReplay({ file, other: null, json: false }));
  expect(text.code).toBe(0);
  expect(text.output.split("\n").slice(3, 7)).toEqual([
    "2027-01-15T08:00:00.010Z ← IKE_SA_INIT request 0: SA KE No N(NAT_DETECTION_SOURCE_IP) N(NAT_DETECTION_DESTINATION_IP) N(IKEV2_FRAGMENTATION_SUPPORTED) N(SIGNATURE_HASH_ALGORITHMS)",
    "    NO_PROPOSAL_CHOSEN: No common IKE proposal: the peer offers aes256gcm16-prfsha384-modp2048; this side allows aes256gcm16-prfsha384-x25519 (key exchange: offered modp2048, allowed x25519).",
    "2027-01-15T08:00:00.010Z → IKE_SA_INIT response 0: N(NO_PROPOSAL_CHOSEN)",
    expect.stringContaining("← IKE_SA_INIT request 0"),
  ]);
  expect(text.output.split("\n").at(-2)).toMatch(/^verdict: No common IKE proposal: .* \(NO_PROPOSAL_CHOSEN\)$/);
  vi.restoreAllMocks();
  const json = captured(() => runReplay({ file, other: null, json: true }));
  expect(JSON.parse(json.output)).toMatchObject({ version: 1, verdict: { code: "NO_PROPOSAL_CHOSEN" }, recorded: { code: "NO_PROPOSAL_CHOSEN" } });
});

test("with the other end's trace, names both sites and what to change", async () => {
  const { pair, configs } = await failureScenarios[0]!.provoke();
  const [file, other] = [join(directory, "a.json"), join(directory, "b.json")];
  writeFileSync(file, fileText(pair.a, configs.a));
  writeFileSync(other, fileText(pair.b, configs.b).replace('"amsterdam"', '"berlin"'));
  expect(
    captured(() => runReplay({ file, other, json: false }))
      .output.split("\n")
      .at(-2),
  ).toBe("both ends: amsterdam offers group modp2048 only for IKE, berlin only x25519: add modp2048 to berlin or x25519 to amsterdam. (NO_PROPOSAL_CHOSEN)");
});

test("ends with 1 when it comes to another verdict than the trace did", async () => {
  const { pair, configs } = await failureScenarios[0]!.provoke();
  const file = join(directory, "repaired.json");
  writeFileSync(file, fileText(pair.b, { ...configs.b, ikeProposals: ["aes256gcm16-prfsha384-modp2048"] }));
  const { code, output } = captured(() => runReplay({ file, other: null, json: false }));
  expect(code).toBe(1);
  expect(output).toContain("verdict: nothing went wrong\nthe trace itself says: No common IKE proposal");
});

test("a file that is none, is not there or names an unknown algorithm is a mistake of the command line", () => {
  const file = join(directory, "bad.json");
  for (const text of ["no json", "{}", fileOfUnknownProposal()]) {
    writeFileSync(file, text);
    expect(() => runReplay({ file, other: null, json: false })).toThrow(UsageError);
  }
  expect(() => runReplay({ file: join(directory, "none.json"), other: null, json: false })).toThrow(/cannot be replayed/);
});

function fileOfUnknownProposal(): string {
  const { a } = linkConfigs({ a: { ikeProposals: ["aes999-sha256-modp2048"] } });
  return JSON.stringify(buildTraceFile({ gateway: "g", agentVersion: "1", exportedAt: 1, config: a, entries: [] }));
}
