import { describe, expect, it, test } from "vitest";
import { traceFile } from "../../contract/trace-file.ts";
import type { LinkConfig } from "../ike/endpoint-types.ts";
import { failureScenarios } from "../testing/failures.ts";
import { linkConfigs, type Side } from "../testing/pair.ts";
import { buildTraceFile, readTraceFile } from "./trace-file.ts";
import { TraceLog } from "./trace-log.ts";
import { sourceOf } from "../testing/traced.ts";

function fileOf(side: Side, config: LinkConfig) {
  const log = new TraceLog();
  for (const record of side.trace) log.add(sourceOf(record));
  return buildTraceFile({ gateway: "amsterdam", agentVersion: "0.1.0", exportedAt: 1_800_000_000_000, config, entries: log.forFile(config.id, 1_000) });
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const base64Of = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

describe("the trace file of every failure", () => {
  for (const scenario of failureScenarios) {
    it(`${scenario.name}: is of the contract, is read back, and holds no secret of either end`, async () => {
      const { pair, configs } = await scenario.provoke();
      for (const [side, config] of [
        [pair.a, configs.a],
        [pair.b, configs.b],
      ] as const) {
        const text = JSON.stringify(fileOf(side, config));
        expect(traceFile.parse(JSON.parse(text)).entries.length > 0).toBe(side.trace.length > 0);
        expect(readTraceFile(text).records.map((record) => record.summary)).toEqual(fileOf(side, config).entries.map((entry) => entry.summary));
        for (const secret of [...secretsOf(configs.a), ...secretsOf(configs.b), ...keysOf(pair.a), ...keysOf(pair.b)]) {
          expect(text).not.toContain(hexOf(secret));
          expect(text).not.toContain(base64Of(secret));
          expect(text).not.toContain(new TextDecoder().decode(secret));
        }
      }
    });
  }
});

function secretsOf({ credentials }: LinkConfig): Uint8Array[] {
  return credentials.method === "psk" ? credentials.keys.map((key) => key.secret) : credentials.certificates.map((one) => one.privateKey);
}

function keysOf(side: Side): Uint8Array[] {
  return [...side.inbound.values(), ...side.outbound.values()].map((sa) => sa.keys.encryptionKey);
}

test("identities of every kind, selectors with ports and the names of credentials come back as they were", () => {
  const { a } = linkConfigs({
    a: {
      localIdentity: { kind: "fqdn", name: "10.0.0.1" },
      remoteIdentity: { kind: "dn", name: "CN=berlin" },
      credentials: {
        method: "psk",
        keys: [
          { id: "k1", secret: Uint8Array.of(1) },
          { id: "k2", secret: Uint8Array.of(2) },
        ],
        use: "k2",
      },
    },
  });
  const text = JSON.stringify(buildTraceFile({ gateway: "g", agentVersion: "1", exportedAt: 1, config: a, entries: [] }));
  const { config } = readTraceFile(text);
  expect(config).toMatchObject({
    localIdentity: a.localIdentity,
    remoteIdentity: a.remoteIdentity,
    children: a.children,
    ikeProposals: a.ikeProposals,
    credentials: {
      use: "k2",
      keys: [
        { id: "k1", secret: new Uint8Array(0) },
        { id: "k2", secret: new Uint8Array(0) },
      ],
    },
  });
});

test("a link that the engine would refuse is refused with the reason", () => {
  const good = JSON.stringify(buildTraceFile({ gateway: "g", agentVersion: "1", exportedAt: 1, config: linkConfigs().a, entries: [] }));
  for (const [from, to, reason] of [
    ['"a.example"', '"CN=,,="', /an identity of the link is no name/],
    ["10.1.0.0/24", "10.1.0.0/99", /10\.1\.0\.0\/99/],
    ["aes256gcm16-prfsha384-x25519", "rot13", /rot13/],
  ] as const)
    expect(() => readTraceFile(good.replace(from, to))).toThrow(reason);
});

test("what is no trace file is refused in a sentence, without quoting it", () => {
  expect(() => readTraceFile("secret: no json")).toThrow("the file is not JSON");
  expect(() => readTraceFile(JSON.stringify({ format: "culvert-trace", version: 2 }))).toThrow(
    "this is not a trace of culvert-agent trace LINK --json (version 1) at version",
  );
});
