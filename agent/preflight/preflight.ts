import type { DesiredLink } from "../../contract/desired-state.ts";
import { spokenDuration } from "../ike/diagnosis/lifetime.ts";
import { listSelectors } from "../ike/diagnosis/selectors.ts";
import { type Verdict, verdict } from "../ike/diagnosis/verdict.ts";
import type { ChildSaSnapshot, IkeSaSnapshot, LinkSnapshot, RandomSource } from "../ike/endpoint-types.ts";
import { fromPrefix } from "../ipsec/traffic-selector.ts";
import type { Draft } from "./draft.ts";
import { type Player, type Rehearsal, rehearse } from "./rehearsal.ts";

/** What two drafts of one link would come to. `refused` also when the link comes up and cannot be rekeyed. */
export type PreflightResult =
  | { readonly outcome: "agreed"; readonly agreement: Agreement; readonly remarks: readonly string[] }
  | { readonly outcome: "refused"; readonly code: string; readonly sentence: string };

export interface Agreement {
  /** The site that begins. */
  readonly initiator: string;
  readonly ikeSuite: string;
  readonly encapsulation: string;
  readonly authentication: "pre-shared key" | "certificate";
  readonly ends: readonly { readonly site: string; readonly identity: string; readonly credentialId: string | null }[];
  readonly children: readonly AgreedChild[];
}

/** `networks`: as seen by the first draft, local then remote. `rekeySuite`: with the group that every rekey adds (PFS). */
export interface AgreedChild {
  readonly name: string;
  readonly protocol: "ESP" | "AH";
  readonly mode: "tunnel" | "transport";
  readonly suite: string;
  readonly rekeySuite: string;
  readonly networks: readonly [string, string];
}

/**
 * Runs both ends' real negotiators on two drafts and says what would be agreed, or why it would not work, with both sites named.
 * Sends nothing and looks nothing up. The drafts have passed `checkState`. `now`: milliseconds since 1970, for certificates.
 */
export function preflight(a: Draft, b: Draft, now: number, random: RandomSource): PreflightResult {
  const early = obstacleBefore(a, b);
  if (early !== null) return { outcome: "refused", ...early };
  const rehearsal = rehearse(a, b, now, random);
  const { agreed, rekeyed } = rehearsal;
  const obstacle = obstacleIn(rehearsal);
  if (obstacle !== null) return { outcome: "refused", ...obstacle };
  if (agreed === null || rekeyed === null) {
    return { outcome: "refused", code: "NOT_UP", sentence: `The link between ${a.site} and ${b.site} did not come up, and neither says why.` };
  }
  const agreement = agreementOf(rehearsal, agreed.a, agreed.b, rekeyed.a);
  return { outcome: "agreed", agreement, remarks: remarksOn(a, b, agreement) };
}

function obstacleBefore(a: Draft, b: Draft): Verdict | null {
  const disabled = [a, b].find((draft) => !draft.link.enabled);
  if (disabled !== undefined) return { code: "DISABLED", sentence: `The link is disabled at ${disabled.site}: enable it there.` };
  if (a.link.initiate !== "respond" || b.link.initiate !== "respond") return null;
  return { code: "NOBODY_STARTS", sentence: `Neither ${a.site} nor ${b.site} starts the link: set initiate: start at one of them.` };
}

function obstacleIn({ a, b, agreed }: Rehearsal): Verdict | null {
  const lost = lostSentence(a, b) ?? lostSentence(b, a);
  if (agreed === null && lost !== null) return lost;
  const found = verdict({ name: a.draft.site, trace: a.trace }, { name: b.draft.site, trace: b.trace });
  const hasFailed = [a, b].some((player) => player.events.some((event) => event.kind === "failed"));
  return hasFailed ? found : null;
}

/** Nobody is where the end calls: there is no firewall in memory, so the drafts say why. */
function lostSentence(from: Player, to: Player): Verdict | null {
  const [where] = from.lost;
  if (where === undefined) return null;
  const { ikePort, natPort } = to.draft.gateway;
  const [me, peer] = [from.draft.site, to.draft.site];
  const sentence =
    where.address === to.place.outside
      ? `${me} calls ${peer} on UDP port ${where.port}, ${peer} listens on ${ikePort} and ${natPort}: set the remote port of ${me} to ${ikePort}.`
      : `${me} calls ${where.address}, ${peer} has the address ${to.place.outside}: set the remote address of ${me} to ${to.place.outside}, or correct that of ${peer}.`;
  return { code: "PEER_SILENT", sentence };
}

function agreementOf(rehearsal: Rehearsal, a: LinkSnapshot, b: LinkSnapshot, rekeyed: LinkSnapshot): Agreement {
  const [atA, atB] = [mainSa(a), mainSa(b)];
  const { link } = rehearsal.a.draft;
  const later = childrenOf(rekeyed);
  return {
    initiator: (atA.role === "initiator" ? rehearsal.a : rehearsal.b).draft.site,
    ikeSuite: atA.suite,
    encapsulation: atA.children[0]?.encapsulation === "none" ? "none" : `UDP, port ${atA.remote.port}`,
    authentication: link.authentication.method === "psk" ? "pre-shared key" : "certificate",
    ends: [
      { site: rehearsal.a.draft.site, identity: atB.remoteIdentity, credentialId: atA.credentialId },
      { site: rehearsal.b.draft.site, identity: atA.remoteIdentity, credentialId: atB.credentialId },
    ],
    children: childrenOf(a).map((child) => ({
      name: child.name,
      protocol: child.protocol === "ah" ? "AH" : "ESP",
      mode: child.mode,
      suite: child.suite,
      rekeySuite: later.find((one) => one.name === child.name)?.suite ?? child.suite,
      networks: [listSelectors(child.localSelectors), listSelectors(child.remoteSelectors)],
    })),
  };
}

function mainSa(link: LinkSnapshot): IkeSaSnapshot {
  const sa = link.ikeSas.find((one) => one.state === "established") ?? link.ikeSas[0];
  if (sa === undefined) throw new Error("a link that is up has an IKE SA");
  return sa;
}

/** One of each name: after a rekey the old one may still be there for a moment. */
function childrenOf(link: LinkSnapshot): readonly ChildSaSnapshot[] {
  const children = link.ikeSas.flatMap((sa) => sa.children).filter((child) => child.state === "established");
  return [...new Map(children.map((child) => [child.name, child])).values()];
}

/** What works and should be known before it is saved. */
function remarksOn(a: Draft, b: Draft, agreement: Agreement): string[] {
  const remarks: string[] = [];
  if (!agreement.ikeSuite.includes("mlkem"))
    remarks.push("The key exchange is classical: what is recorded today can be read with a quantum computer (no ML-KEM in common).");
  for (const child of agreement.children) {
    if (child.rekeySuite === child.suite) remarks.push(`The Child SA "${child.name}" has no perfect forward secrecy: its keys all come from the IKE SA.`);
  }
  if (a.link.ah !== undefined) remarks.push("The link uses AH: every packet is authenticated and none is encrypted.");
  remarks.push(...narrowed(a, b, agreement), ...lifetimes(a, b));
  if (a.link.initiate === "start" && b.link.initiate === "start")
    remarks.push(`Both ${a.site} and ${b.site} start the link: now and then there will be two IKE SAs for a moment.`);
  for (const draft of [a, b]) {
    const { address } = draft.link.remote;
    if (address !== undefined && !/^[0-9.]+$|:/.test(address)) remarks.push(`${draft.site} calls ${address}, which was not looked up.`);
  }
  return remarks;
}

function narrowed(a: Draft, b: Draft, agreement: Agreement): string[] {
  const [initiator, responder] = agreement.initiator === a.site ? [a, b] : [b, a];
  const asked = initiator.link.children;
  const agreedOf = (name: string) => agreement.children.find((one) => one.name === name)?.networks;
  return asked.flatMap((child) => {
    const networks = agreedOf(child.name);
    if (networks === undefined) return [];
    const [local, remote] = initiator === a ? networks : [networks[1], networks[0]];
    const wish = [child.localNetworks, child.remoteNetworks].map((texts) => listSelectors(texts.map(fromPrefix)));
    if (wish[0] === local && wish[1] === remote) return [];
    return [`${responder.site} narrows "${child.name}" from ${wish[0]} to ${wish[1]} down to ${local} to ${remote}.`];
  });
}

/** IKEv2 does not negotiate them (RFC 7296 §2.8): the shorter one leads. */
function lifetimes(a: Draft, b: Draft): string[] {
  const pairs: readonly [string, (link: DesiredLink) => number][] = [
    ["IKE SA", (link) => link.ike.rekeySeconds],
    ["Child SA", (link) => link.esp.rekeySeconds],
  ];
  return pairs.flatMap(([what, read]) => {
    const [own, other] = [read(a.link), read(b.link)];
    if (own === other) return [];
    const leader = own < other ? a.site : b.site;
    return [
      `${a.site} rekeys the ${what} after ${spokenDuration(own * 1_000)}, ${b.site} after ${spokenDuration(other * 1_000)}: ${leader} will always do it.`,
    ];
  });
}
