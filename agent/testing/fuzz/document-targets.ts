import { parse, stringify } from "yaml";
import { fromHub } from "../../../contract/hub-protocol.ts";
import type { DesiredState } from "../../../contract/desired-state.ts";
import { replay } from "../../ike/diagnosis/replay.ts";
import type { LinkConfig } from "../../ike/endpoint-types.ts";
import { readConfigText } from "../../runtime/config-file.ts";
import { toLinkConfig } from "../../runtime/link-config.ts";
import { formatReplay } from "../../runtime/replay-command.ts";
import { checkState } from "../../runtime/state-checks.ts";
import { exampleYaml } from "../../runtime/test-doubles.ts";
import { buildTraceFile, readTraceFile } from "../../runtime/trace-file.ts";
import { TraceLog } from "../../runtime/trace-log.ts";
import { linkConfigs, Pair } from "../pair.ts";
import { revocablePeers } from "../revocable-peers.ts";
import { sourceOf } from "../traced.ts";
import { editedDocument, type Json } from "./document-edits.ts";
import { once, refusing, require, type Target, textOf } from "./target.ts";

/* Configurations, the hub's messages and trace files: text as it is (first octet 0), or edits of good documents (first octet n: the nth). */

const text = new TextEncoder();
const asIs = (document: string): Uint8Array => Uint8Array.of(0, ...text.encode(document));

/** A good document each way that there is one, and `input`'s text: as it is, or of the document that its first octet names. */
function documentOf(documents: readonly Json[], input: Uint8Array, write: (document: Json) => string): string {
  const which = input[0] ?? 0;
  return which === 0 ? textOf(input.subarray(1)) : write(editedDocument(documents[which % documents.length]!, input.subarray(1)));
}

const eachOf = (documents: readonly Json[]): Uint8Array[] => documents.map((_document, index) => Uint8Array.of(index + documents.length));

const site = parse(exampleYaml) as { links: { [key: string]: Json }[] } & { [key: string]: Json };
const certificateLink: Json = {
  ...site.links[0]!,
  id: "paris",
  initiate: "onDemand",
  ah: { proposals: ["sha256-x25519"] },
  encapsulation: "plain",
  authentication: {
    method: "certificate",
    certificates: [{ id: "own", chain: "-----BEGIN CERTIFICATE-----", privateKey: "x" }],
    use: "own",
    trustedAuthorities: ["y"],
  },
  children: [{ name: "lan", localNetworks: ["10.1.0.0/24", "2001:db8::/64"], remoteNetworks: ["10.3.0.0/24"], mode: "tunnel" }],
  probe: { source: "10.1.0.1", target: "10.3.0.1" },
};
const sites: readonly Json[] = [site, { ...site, links: [...site.links, certificateLink] }];

const hubMessages: readonly Json[] = [
  ...sites.map((state) => ({ type: "desired", state })),
  { type: "command", id: "1", command: { name: "up", linkId: "a" } },
  { type: "command", id: "2", command: { name: "probe", linkId: "a", count: 3, intervalMilliseconds: 5, payloadBytes: 8 } },
  { type: "command", id: "3", command: { name: "trace", linkId: "a", limit: 10, file: true } },
  { type: "command", id: "4", command: { name: "rekey", linkId: "a", what: "all" } },
  { type: "certificate", certificatePem: "-----BEGIN CERTIFICATE-----" },
];

/** What an end has written of a life with a rekey, a refusal and its end. */
const traces = once((): Json[] => [traceOf({}), traceOf({ a: { espProposals: ["aes128gcm16"] } }), traceOf(withCertificates())]);

function withCertificates(): Parameters<typeof linkConfigs>[0] {
  const credentialsOf = (side: "a" | "b") => ({ credentials: { ...revocablePeers[side], revocation: "off" } as LinkConfig["credentials"] });
  return { a: credentialsOf("a"), b: credentialsOf("b") };
}

function traceOf(overrides: Parameters<typeof linkConfigs>[0]): Json {
  const pair = new Pair(3);
  const { a, b } = linkConfigs(overrides);
  pair.give(pair.b, { kind: "setLink", link: b });
  pair.give(pair.a, { kind: "setLink", link: a });
  pair.run(1_500);
  pair.give(pair.a, { kind: "rekey", linkId: "link", what: "all" });
  pair.run(1_500);
  pair.give(pair.a, { kind: "down", linkId: "link" });
  pair.run(1_500);
  const log = new TraceLog();
  for (const entry of pair.a.trace) log.add(sourceOf(entry));
  const file = buildTraceFile({ gateway: "a", agentVersion: "1", exportedAt: 1, config: a, entries: log.forFile("link", 40) });
  return JSON.parse(JSON.stringify(file)) as Json;
}

/** What was let through is what the engine takes: it has no way to refuse it. */
function giveToEngine(state: DesiredState): void {
  if (checkState(state).length > 0) return;
  const pair = new Pair(1);
  for (const link of state.links) pair.give(pair.a, { kind: "setLink", link: toLinkConfig(link, ["192.0.2.2"], false) });
  pair.run(50);
}

const LINE = /^site\.yaml:[1-9][0-9]*: [^\n]+ — [^\n]+$/;

export const documentTargets: readonly Target[] = [
  {
    name: "site-yaml",
    watched: [/agent\/runtime\/(?:config|state-checks|proposal-check|prefix|identity-text|link-config)/, /node_modules\/yaml\/dist\/(?:compose|doc|nodes)/],
    // The reader of YAML is a library's, and a document may be long.
    slowMs: 2_000,
    batch: 100,
    seeds: () => [asIs(exampleYaml), asIs("a: &a [1]\nb: *a\n"), asIs("? {a: 1}\n: !!set {b}\n"), asIs("{}"), ...eachOf(sites)],
    run: (input) => {
      const result = readConfigText(documentOf(sites, input, stringify), "/nonexistent/site.yaml");
      if (result.ok) return giveToEngine(result.state);
      require(result.lines.length > 0, "a refusal has a reason");
      for (const line of result.lines) require(LINE.test(line), `a problem is told as line, field and reason: ${JSON.stringify(line)}`);
    },
  },
  {
    name: "hub-message",
    // The schemas are data: what runs is the library.
    watched: [/contract\//, /node_modules\/zod\//, /agent\/runtime\/(?:state-checks|proposal-check|prefix|identity-text|link-config)/],
    batch: 100,
    seeds: () => [asIs('{"type":"command"}'), ...eachOf(hubMessages)],
    run: (input) =>
      refusing([SyntaxError], () => {
        const message = fromHub.safeParse(JSON.parse(documentOf(hubMessages, input, (document) => JSON.stringify(document))));
        if (message.success && message.data.type === "desired") giveToEngine(message.data.state as DesiredState);
      }),
  },
  {
    name: "trace-file",
    watched: [/agent\/runtime\/(?:trace-file|replay)/, /agent\/ike\/diagnosis\//, /contract\//],
    slowMs: 1_000,
    batch: 100,
    seeds: () => [asIs('{"schema":1,"gateway":"a","agentVersion":"0","exportedAt":1,"link":{},"entries":[]}'), ...eachOf(traces())],
    run: (input) =>
      refusing([RangeError], () => {
        const read = readTraceFile(documentOf(traces(), input, (document) => JSON.stringify(document)));
        formatReplay(read, replay(read.config, read.records));
      }),
  },
];
