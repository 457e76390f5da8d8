import type { DesiredLink, DesiredState } from "../../contract/desired-state.ts";
import type { Draft } from "../preflight/draft.ts";
import { type PreflightResult, preflight } from "../preflight/preflight.ts";
import { UsageError } from "./command-line.ts";
import { readConfigFile } from "./config-file.ts";
import { systemRandom } from "./system-clock.ts";

export interface PreflightRequest {
  /** Two configuration files, as `check` takes them. */
  readonly configs: readonly [string, string];
  /** The link's id in the first file; null: the only one, or the only one that the two have in common. */
  readonly linkId: string | null;
  readonly json: boolean;
}

/** `culvert-agent preflight`: prints what would be agreed (0) or why not (1); 2 when a file or the choice of the link is wrong. */
export function runPreflight(request: PreflightRequest): number {
  const states = request.configs.map(read);
  const [first, second] = states;
  if (first === undefined || second === undefined || first === null || second === null) return 2;
  const [a, b] = pairOf(first, second, request.linkId);
  const result = preflight(draftOf(first, a), draftOf(second, b), Date.now(), systemRandom);
  process.stdout.write(request.json ? `${JSON.stringify(result, null, 2)}\n` : formatPreflight(result, siteOf(first), siteOf(second)));
  return result.outcome === "agreed" ? 0 : 1;
}

/** What `culvert-agent preflight` prints. */
export function formatPreflight(result: PreflightResult, siteA: string, siteB: string): string {
  if (result.outcome === "refused") return `${siteA} and ${siteB} would not work: ${result.sentence} (${result.code})\n`;
  const { agreement, remarks } = result;
  const lines: [string, string][] = [
    ["begins", agreement.initiator],
    ["IKE", agreement.ikeSuite],
    ...agreement.ends.map((end): [string, string] => [end.site, `${end.identity}, ${agreement.authentication} ${JSON.stringify(end.credentialId)}`]),
    ["in", agreement.encapsulation],
    ...agreement.children.map((child): [string, string] => {
      const rekey = child.rekeySuite === child.suite ? "" : `, rekeyed as ${child.rekeySuite}`;
      return [child.name, `${child.networks.join(" ⇄ ")}, ${child.protocol} ${child.suite}${rekey}${child.mode === "transport" ? ", transport mode" : ""}`];
    }),
  ];
  const width = Math.max(...lines.map(([label]) => label.length));
  return [
    `${siteA} and ${siteB} would agree:`,
    ...lines.map(([label, text]) => `  ${label.padEnd(width)}  ${text}`),
    ...remarks.map((remark) => `note: ${remark}`),
    "",
  ].join("\n");
}

function read(config: string): DesiredState | null {
  const result = readConfigFile(config);
  for (const line of result.ok ? result.warnings : result.lines) process.stderr.write(`${line}\n`);
  return result.ok ? result.state : null;
}

/** The link of each file: by its id, by its identities, or the only one. */
function pairOf(a: DesiredState, b: DesiredState, linkId: string | null): readonly [DesiredLink, DesiredLink] {
  const wanted = linkId === null ? a.links : a.links.filter((link) => link.id === linkId);
  if (wanted.length === 0) throw new UsageError(linkId === null ? `${siteOf(a)} has no links` : `${siteOf(a)} has no link "${linkId}"`);
  const pairs = wanted.flatMap((link): (readonly [DesiredLink, DesiredLink])[] => {
    const partner = partnerOf(link, b.links, wanted.length === 1);
    return partner === null ? [] : [[link, partner]];
  });
  const [pair, another] = pairs;
  if (pair === undefined) throw new UsageError(`no link of ${siteOf(b)} is the other end of ${wanted.map((link) => `"${link.id}"`).join(", ")}`);
  if (another !== undefined) throw new UsageError(`choose one with --link: ${pairs.map(([link]) => link.id).join(", ")}`);
  return pair;
}

function partnerOf(link: DesiredLink, candidates: readonly DesiredLink[], mayBeOnly: boolean): DesiredLink | null {
  const byIdentity = candidates.filter((one) => one.local.identity === link.remote.identity && one.remote.identity === link.local.identity);
  const only = mayBeOnly && candidates.length === 1 ? candidates[0] : undefined;
  return candidates.find((one) => one.id === link.id) ?? (byIdentity.length === 1 ? byIdentity[0] : only) ?? null;
}

function draftOf(state: DesiredState, link: DesiredLink): Draft {
  return { site: siteOf(state), gateway: state.gateway, link };
}

function siteOf(state: DesiredState): string {
  return state.gateway.name;
}
