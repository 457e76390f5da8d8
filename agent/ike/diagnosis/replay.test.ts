import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { failureScenarios } from "../../testing/failures.ts";
import { establishedPair, linkConfigs } from "../../testing/pair.ts";
import type { LinkConfig, TraceRecord } from "../endpoint-types.ts";
import { replay } from "./replay.ts";
import { ownVerdict } from "./verdict.ts";

/** As a file has it: nothing but JSON, and no secrets. */
function throughFile(trace: readonly TraceRecord[]): TraceRecord[] {
  return JSON.parse(JSON.stringify(trace)) as TraceRecord[];
}

/** Failures that no replay can find again: they hang on keys, on time, or on what other peers did. */
const RECORDED = [
  "wrong pre-shared key",
  "AH, and UDP encapsulation asked for",
  "peer silent: nothing arrives",
  "peer silent: the answers are lost",
  "peer silent: IKE_AUTH is lost on the NAT-T port",
  "peer silent: the SA was up",
  "cookie required",
  "half-open limit",
  "SA lifetime mismatch",
  "SA lifetime mismatch of the IKE SA",
  "duplicate SA",
  "the link was taken down at the peer",
  "no link for the peer's address",
];

describe("the replay of a trace", () => {
  for (const scenario of failureScenarios) {
    it(`${scenario.name}: comes to the same verdict at both ends`, async () => {
      const { pair, configs } = await scenario.provoke();
      for (const [side, config] of [
        [pair.a, configs.a],
        [pair.b, configs.b],
      ] as const) {
        const result = replay(config, throughFile(side.trace));
        expect(result.recorded).toEqual(ownVerdict(side.trace));
        expect(result.verdict).toEqual(result.recorded);
      }
    });

    if (RECORDED.includes(scenario.name)) continue;
    it(`${scenario.name}: finds it from the octets alone, whatever the trace concluded`, async () => {
      const { pair, configs } = await scenario.provoke();
      for (const [side, config] of [
        [pair.a, configs.a],
        [pair.b, configs.b],
      ] as const) {
        const silenced = throughFile(side.trace).filter((record) => record.direction !== "local");
        const found = replay(config, silenced).verdict;
        const expected = ownVerdict(side.trace);
        if (expected?.code === "COOKIE" && side === pair.b) continue;
        expect(found).toEqual(expected);
      }
    });
  }

  it("says step by step what was chosen and why of a link that came up and was rekeyed", () => {
    const pair = establishedPair(6, { both: { espProposals: ["aes256gcm16-x25519"] } });
    pair.give(pair.a, { kind: "rekey", linkId: "link", what: "all" });
    pair.run(3_000);
    const { steps, verdict } = replay(linkConfigs({ both: { espProposals: ["aes256gcm16-x25519"] } }).b, throughFile(pair.b.trace));
    expect(verdict).toBeNull();
    const said = steps.flatMap((step) => step.conclusions.filter((one) => one.isRecorded !== true).map((one) => `${step.record.exchange}: ${one.sentence}`));
    expect(said).toEqual([
      "IKE_SA_INIT: Proposal 1 of the peer is the first that this side allows: aes256gcm16-prfsha384-x25519.",
      "IKE_AUTH: The peer says it is a.example, as this side expects.",
      "IKE_AUTH: It proves a pre-shared key; which one cannot be computed again.",
      "IKE_AUTH: ESP proposal 1 of the peer is the first that this side allows: aes256gcm16.",
      'IKE_AUTH: Its networks mean "net": 10.1.0.0/24 to 10.2.0.0/24.',
      "CREATE_CHILD_SA: ESP proposal 1 of the peer is the first that this side allows: aes256gcm16-x25519.",
      'CREATE_CHILD_SA: Its networks mean "net": 10.1.0.0/24 to 10.2.0.0/24.',
      "CREATE_CHILD_SA: The IKE SA is rekeyed with aes256gcm16-prfsha384-x25519, the first proposal of the peer that this side allows.",
      "INFORMATIONAL: The peer ends the IKE SA.",
      "INFORMATIONAL: The peer ends 1 Child SA(s).",
    ]);
  });

  it("answers with today's configuration: a proposal that was added since makes the difference", async () => {
    const { pair, configs } = await failureScenarios[0]!.provoke();
    const repaired: LinkConfig = { ...configs.b, ikeProposals: [...configs.b.ikeProposals, "aes256gcm16-prfsha384-modp2048"] };
    expect(replay(configs.b, throughFile(pair.b.trace)).verdict?.code).toBe("NO_PROPOSAL_CHOSEN");
    expect(replay(repaired, throughFile(pair.b.trace)).verdict).toBeNull();
  });

  it("comes to what was concluded wherever the trace begins", async () => {
    for (const scenario of failureScenarios) {
      const { pair, configs } = await scenario.provoke();
      for (const [side, config] of [
        [pair.a, configs.a],
        [pair.b, configs.b],
      ] as const) {
        const records = throughFile(side.trace);
        for (let from = 1; from < records.length; from++) {
          const cut = replay(config, records.slice(from));
          // The engine waits two seconds before it believes an error in the clear: at the end of a trace a replay may know more.
          if (cut.recorded !== null && cut.recorded.code !== "COOKIE")
            expect(cut.verdict, `${scenario.name} at ${side.name} from ${from}`).toEqual(cut.recorded);
        }
      }
    }
  });

  it("goes through whatever octets a file holds", async () => {
    const traces = await Promise.all(
      failureScenarios.map(async (scenario) => {
        const { pair, configs } = await scenario.provoke();
        return { records: throughFile(pair.b.trace), config: configs.b };
      }),
    );
    const octets = fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes).toString("hex"));
    fc.assert(
      fc.property(fc.constantFrom(...traces), fc.nat(), fc.nat(), octets, ({ records, config }, which, at, junk) => {
        const messages = records.filter((record) => record.wire !== undefined);
        const chosen = messages[which % Math.max(1, messages.length)];
        const changed = records.map((record) => {
          if (record !== chosen || record.wire === undefined) return record;
          const cut = 2 * (at % Math.max(1, record.wire.octets.length >> 1));
          return { ...record, wire: { ...record.wire, octets: `${record.wire.octets.slice(0, cut)}${junk}${record.wire.octets.slice(cut + junk.length)}` } };
        });
        expect(replay(config, changed).steps.length).toBe(records.length);
      }),
      { numRuns: 2_000 },
    );
  });

  it("goes through a trace whose octets were not kept, or are none, on what was recorded", async () => {
    const { pair, configs } = await failureScenarios[0]!.provoke();
    for (const wire of [undefined, { firstPayload: 33, octets: "nonsense" }]) {
      const records = throughFile(pair.b.trace).map(({ wire: _octets, ...record }) => (wire === undefined ? record : { ...record, wire }));
      expect(replay(configs.b, records).verdict).toEqual(ownVerdict(pair.b.trace));
    }
  });
});
