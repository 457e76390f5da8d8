import type { TraceRecord } from "../endpoint-types.ts";
import { type Cause, type Difference, type Facts, factsOf } from "./facts.ts";
import { spokenDuration } from "./lifetime.ts";
import { lowerFirst } from "./refusal.ts";

/*
 * One sentence about a link from the traces of its ends. A single trace says what its end knows; with both, the end that refused
 * says why, the other what it had asked for, and the sentence names both sites and what to change.
 */

export type TraceStep = Pick<TraceRecord, "at" | "direction" | "exchange" | "messageId" | "summary" | "detail">;

export interface TracedEnd {
  /** The site, as people call it. */
  readonly name: string;
  /** Oldest first; null: what this end has seen is not known. */
  readonly trace: readonly TraceStep[] | null;
}

export interface Verdict {
  readonly code: string;
  readonly sentence: string;
}

/** What went wrong last, by this end's trace alone; null: nothing did. */
export function ownVerdict(trace: readonly TraceStep[]): Verdict | null {
  const worst = worstProblem([trace]);
  return worst === null ? null : { code: worst.code, sentence: worst.sentence };
}

/** The same by the traces of both ends, with both sites named. */
export function verdict(a: TracedEnd, b: TracedEnd): Verdict | null {
  const worst = worstProblem([a.trace ?? [], b.trace ?? []]);
  if (worst === null) return null;
  const [self, other] = worst.end === 0 ? [a, b] : [b, a];
  const sentence = worst.facts === null ? null : sentenceOf(worst.facts, self, other);
  return { code: worst.code, sentence: sentence ?? `${self.name}: ${worst.sentence}` };
}

interface Problem {
  /** Index of the trace it is in. */
  readonly end: number;
  readonly at: number;
  readonly code: string;
  readonly sentence: string;
  readonly facts: Facts | null;
  readonly rank: number;
}

/** An end tries again every minute at most: what is older than this before its last failure belongs to another story. */
const ONE_STORY_MS = 90_000;

/** The problem that explains the most among the latest of each end; of equals the last. */
function worstProblem(traces: readonly (readonly TraceStep[])[]): Problem | null {
  let worst: Problem | null = null;
  for (const [end, trace] of traces.entries()) {
    const problems = trace.flatMap((step) => problemOf(end, step));
    const last = problems.filter((one) => one.rank > FINDING).at(-1) ?? problems.at(-1);
    if (last === undefined) continue;
    // Before a failure that is over, something else may have failed: an SA that came up since ends its story.
    const since = Math.max(last.at - ONE_STORY_MS, lastSuccess(trace, last.at));
    for (const problem of problems) if (problem.at >= since && problem.at <= last.at && (worst === null || problem.rank >= worst.rank)) worst = problem;
  }
  return worst;
}

function lastSuccess(trace: readonly TraceStep[], before: number): number {
  return trace.findLast((step) => step.at < before && step.exchange === "CHILD_SA" && typeof step.detail["childSaId"] === "string")?.at ?? 0;
}

function problemOf(end: number, step: TraceStep): Problem[] {
  const code = step.detail["failure"] ?? step.detail["finding"];
  if (typeof code !== "string") return [];
  const facts = factsOf(step.detail);
  const rank = step.detail["failure"] === undefined ? findingRank(facts) : facts === null ? RANK_UNKNOWN : RANKS[facts.cause];
  return [{ end, at: step.at, code, sentence: step.summary, facts, rank }];
}

/** The half-open limit explains a silence, so it counts for more than it. */
function findingRank(facts: Facts | null): number {
  return facts === null ? FINDING : RANKS[facts.cause];
}

const FINDING = 1;
const RANK_UNKNOWN = 3;

/** 1: works all the same. 2: nobody answers. 3: refused without a reason. 4: the reason is known here. */
const RANKS: Readonly<Record<Cause, number>> = {
  lifetime: FINDING,
  duplicate: FINDING,
  cookieAsked: FINDING,
  cookieReturned: FINDING,
  silence: 2,
  halfOpenLimit: 3,
  notifyRefused: 3,
  proposalsRefused: 3,
  authenticationRefused: 3,
  selectorsRefused: 3,
  cookieLoop: 4,
  mode: 4,
  ahBehindNat: 4,
  groupRefused: 4,
  proposals: 4,
  protocols: 4,
  intermediateMissing: 4,
  preSharedKeys: 4,
  authenticationMethod: 4,
  certificate: 4,
  ownCredential: 4,
  peerIdentity: 4,
  ownIdentity: 4,
  selectors: 4,
  noLink: 4,
  linkDown: 4,
  syntax: 4,
  criticalPayload: 4,
};

/** `self` has the facts. Null: its own sentence says all there is. */
function sentenceOf(facts: Facts, self: TracedEnd, other: TracedEnd): string | null {
  const [me, peer] = [self.name, other.name];
  switch (facts.cause) {
    case "proposals":
      return proposalsSentence(facts, me, peer);
    case "protocols":
      return `${peer} offers ${facts.offered}, ${me} allows ${facts.allowed} only: use the same at both.`;
    case "intermediateMissing":
      return `What ${peer} and ${me} have in common needs IKE_INTERMEDIATE, which ${peer} does not announce: add a proposal without additional key exchanges to both, or update ${peer}.`;
    case "proposalsRefused":
      return proposalsRefusedSentence(facts, me, peer);
    case "groupRefused": {
      const where = facts.protocol === "IKE" ? "IKE proposals" : `${facts.protocol} proposals (PFS)`;
      return `${atRekey(facts)}${peer} insists on the key exchange ${facts.wanted}, ${me} offers ${facts.offered}: add ${facts.wanted} to the ${where} of ${me}, or one of its groups to ${peer}.`;
    }
    case "preSharedKeys":
      return `The pre-shared keys differ: ${peer} uses a key that ${me} does not hold (it tried ${facts.tried.map(quoted).join(", ")}): set the same key at ${me} and ${peer}.`;
    case "authenticationMethod":
      return `${peer} authenticates with ${facts.theirs}, ${me} expects ${facts.ours}: choose the same method at both.`;
    case "certificate":
      return certificateSentence(facts, self, other);
    case "ownCredential":
      return `${me} cannot prove who it is: ${facts.reason}: replace its key or certificate.`;
    case "authenticationRefused":
      return `${peer} refuses the ${facts.method === "psk" ? "pre-shared key" : "certificate"} ${quoted(facts.credentialId)} of ${me} (${facts.local}): compare keys and identities of both.`;
    case "peerIdentity":
      return `${peer} says it is ${facts.claimed}, ${me} expects ${facts.expected}: set the remote identity of ${me} to ${facts.claimed}, or the local identity of ${peer} to ${facts.expected}.`;
    case "ownIdentity":
      return `${peer} wants to reach ${facts.wanted}, ${me} is ${facts.own}: set the remote identity of ${peer} to ${facts.own}, or the local identity of ${me} to ${facts.wanted}.`;
    case "selectors":
      return selectorsSentence(facts, me, peer);
    case "selectorsRefused":
      return `${peer} accepts no part of the networks that ${me} asks for in ${quoted(facts.child)}, ${facts.askedFrom} to ${facts.askedTo}: set the same networks at both, mirrored.`;
    case "mode": {
      const what = facts.asked === "transport" ? "does not agree to" : "does not ask for";
      return `${peer} ${what} transport mode for ${quoted(facts.child)}, which ${me} wants: set mode: transport at ${peer}, or mode: tunnel at ${me}.`;
    }
    case "ahBehindNat":
      return `The link between ${me} and ${peer} uses AH, which cannot pass a NAT, and there is one between them or one end asks for UDP encapsulation: use ESP at both.`;
    case "silence":
      return silenceSentence(facts, self, other);
    case "noLink":
      return `${me} has no link between its address ${facts.local} and ${facts.remote}, from where ${peer} calls: correct the peer address at ${me}, or the outside address of ${peer}.`;
    case "linkDown":
      return `The link was taken down at ${me}, which refuses ${peer}: bring it up at ${me}, or take it down at ${peer} too.`;
    case "syntax":
      return `${me} cannot use the ${facts.exchange} of ${peer}: ${lowerFirst(facts.reason)} Update the software of ${peer}, or look for what changes messages on the path.`;
    case "criticalPayload":
      return `${peer} marks a payload of type ${facts.payloadType} in ${facts.exchange} as critical, which ${me} does not know: turn off the extension at ${peer}, or update ${me}.`;
    case "notifyRefused":
      return `${peer} refused the ${facts.exchange} of ${me} with ${facts.notify}${facts.payloadType === null ? "" : ` (payload type ${facts.payloadType})`}.`;
    case "cookieLoop":
      return `${peer} asks ${me} for a cookie again and again (${facts.rounds} times): a NAT between them changes the address or port of ${me} with every datagram: give ${me} a fixed mapping.`;
    case "cookieAsked":
      return `${me} is busy (${facts.halfOpen} half-open IKE SAs, cookies from ${facts.threshold} on) and asked ${peer} for a cookie; that alone is harmless.`;
    case "cookieReturned":
      return `${peer} is busy and asked ${me} for a cookie, which it sent back; that alone is harmless.`;
    case "halfOpenLimit":
      return `${me} is at its limit of ${facts.limit} half-open IKE SAs and drops the requests of ${peer}: find out who floods ${me} with IKE_SA_INIT.`;
    case "lifetime":
      return lifetimeSentence(facts, me, peer);
    case "duplicate":
      return `${me} and ${peer} both began at once and made two IKE SAs; ${facts.closedBy === "this side" ? me : peer} closes ${facts.spis[1] ?? "one"}: let only one of them start the link.`;
    default:
      return assertNever(facts);
  }
}

function proposalsSentence(facts: Extract<Facts, { cause: "proposals" }>, me: string, peer: string): string {
  const [only, ...more] = facts.differences;
  const start = atRekey(facts);
  if (only === undefined || more.length > 0) {
    const where = facts.differences.map((one) => `${one.kind} ${list(one.offered)} against ${list(one.allowed)}`).join(", ");
    // Keywords, as they are typed in; an offer with alternatives is none.
    const [theirs = "", ours = ""] = [facts.offered, facts.allowed].map((texts) => texts.split(", ")[0]);
    const common = theirs.includes("/") ? `add ${ours} to ${peer}` : `add ${ours} to ${peer} or ${theirs} to ${me}`;
    return `${start}No common ${facts.protocol} proposal: ${peer} offers ${facts.offered}, ${me} allows ${facts.allowed}${where === "" ? "" : ` (${where})`}: ${common}.`;
  }
  return `${start}${differenceSentence(only, facts.protocol, me, peer)}`;
}

/** What the peer has against them it may know, and its trace does not say. */
function proposalsRefusedSentence({ protocol, offered, atRekey }: Extract<Facts, { cause: "proposalsRefused" }>, me: string, peer: string): string {
  const refused = `${peer} accepts none of the ${protocol} proposals of ${me} (${offered})${atRekey ? " at a rekey" : ""}`;
  if (protocol !== "IKE" || atRekey) return `${refused}: give both one in common.`;
  return `${refused}, or has no link for it: give both one in common, and see that the link is applied and up at ${peer}.`;
}

function differenceSentence({ kind, offered, allowed }: Difference, protocol: string, me: string, peer: string): string {
  const what = kind === "key exchange" ? "group" : kind;
  const place = `${protocol} proposals of`;
  if (offered.length === 0)
    return `${peer} offers no ${what} for ${protocol}, ${me} requires ${list(allowed)}: add ${first(allowed)} to the ${place} ${peer}, or take it from those of ${me}.`;
  if (allowed.length === 0)
    return `${peer} offers ${what} ${list(offered)} for ${protocol}, ${me} allows none: add ${first(offered)} to the ${place} ${me}, or take it from those of ${peer}.`;
  return `${peer} offers ${what} ${list(offered)} only for ${protocol}, ${me} only ${list(allowed)}: add ${first(offered)} to ${me} or ${first(allowed)} to ${peer}.`;
}

function certificateSentence(facts: Extract<Facts, { cause: "certificate" }>, self: TracedEnd, other: TracedEnd): string {
  const [me, peer] = [self.name, other.name];
  const start = `${me} refuses the certificate of ${peer}: ${facts.reason}`;
  const ahead = clockDifference(self, other);
  if ((facts.problem === "notYetValid" || facts.problem === "expired") && Math.abs(ahead) >= CLOCKS_DIFFER_MS) {
    return `${start}; the clock of ${me} is ${spokenDuration(Math.abs(ahead))} ${ahead > 0 ? "ahead of" : "behind"} that of ${peer}: set the wrong clock right.`;
  }
  switch (facts.problem) {
    case "expired":
      return `${start}: renew the certificate of ${peer}.`;
    case "notYetValid":
      return `${start}: check the clock of ${me}, or wait.`;
    case "untrusted":
      return `${start}: add its authority to ${me}, or give ${peer} a certificate of one that ${me} trusts.`;
    case "identityMismatch":
      return `${start}: give ${peer} a certificate with that name, or another identity.`;
    case "revocationUnknown":
      return `${start}: let ${me} reach the authority, or set the link's revocation policy to soft.`;
    default:
      return `${start}: replace the certificate of ${peer}.`;
  }
}

const CLOCKS_DIFFER_MS = 60_000;

/** How far the clock of `self` is ahead, by a message that is in both traces: the path takes far less than what matters here. */
function clockDifference(self: TracedEnd, other: TracedEnd): number {
  for (const received of self.trace?.toReversed() ?? []) {
    if (received.direction !== "received" || received.exchange === "IKE_SA_INIT") continue;
    const sent = other.trace?.findLast(
      (step) =>
        step.direction === "sent" &&
        step.exchange === received.exchange &&
        step.messageId === received.messageId &&
        step.detail["spiI"] === received.detail["spiI"] &&
        step.detail["response"] === received.detail["response"],
    );
    if (sent !== undefined) return received.at - sent.at;
  }
  return 0;
}

function selectorsSentence(facts: Extract<Facts, { cause: "selectors" }>, me: string, peer: string): string {
  const nearest = facts.allowed.find((pair) => pair.from === facts.askedFrom) ?? facts.allowed.find((pair) => pair.to === facts.askedTo);
  const allowed = facts.allowed.map((pair) => `${pair.from} to ${pair.to}`).join("; ");
  const start = `${peer} asks for ${facts.askedFrom} to ${facts.askedTo}, ${me} allows ${allowed === "" ? "nothing" : allowed}`;
  if (nearest === undefined) return `${start}: set the same networks at both, mirrored.`;
  return nearest.from === facts.askedFrom
    ? `${start}: add ${facts.askedTo} to the local networks of ${me}, or ${nearest.to} to the remote networks of ${peer}.`
    : `${start}: add ${facts.askedFrom} to the remote networks of ${me}, or ${nearest.from} to the local networks of ${peer}.`;
}

const HANDSHAKE: readonly string[] = ["IKE_SA_INIT", "IKE_INTERMEDIATE", "IKE_AUTH"];

/** Which way the path is broken: the other trace has the requests, or has not. */
function silenceSentence(facts: Extract<Facts, { cause: "silence" }>, self: TracedEnd, other: TracedEnd): string | null {
  if (other.trace === null) return null;
  const [me, peer] = [self.name, other.name];
  const asked = `${me} sent ${facts.exchange} ${facts.sends} times to ${facts.address} port ${facts.port}`;
  const spis = new Set((self.trace ?? []).filter((step) => step.direction === "sent").map((step) => step.detail["spiI"]));
  const arrived = other.trace.filter((step) => step.direction === "received" && step.exchange === facts.exchange && spis.has(step.detail["spiI"])).length;
  if (!HANDSHAKE.includes(facts.exchange))
    return `${asked} without an answer, although the SA was up: the path between ${me} and ${peer} is down, or one of them is.`;
  if (arrived > 0) return `${asked}; ${peer} received it and answered, but no answer reached ${me}: a firewall or NAT drops UDP from ${peer} to ${me}.`;
  const isFound = other.trace.some((step) => spis.has(step.detail["spiI"]));
  if (isFound)
    return `${asked}, none of which reached ${peer}, although an earlier message did: a firewall or NAT drops UDP port ${facts.port} or fragments on the way to ${peer}.`;
  return `${asked}, and ${peer} has seen nothing of it: the address is wrong, ${peer} is not running, or a firewall or NAT drops UDP port ${facts.port} on the way.`;
}

function lifetimeSentence(facts: Extract<Facts, { cause: "lifetime" }>, me: string, peer: string): string {
  const what = facts.what === "IKE SA" ? "the IKE SA" : `the Child SA ${quoted(facts.name)}`;
  return `${peer} deleted ${what} after ${spokenDuration(facts.ageMs)} without rekeying it, ${me} rekeys after ${spokenDuration(facts.rekeyMs)}: set the lifetime of ${me} below that of ${peer}.`;
}

function atRekey(facts: { readonly protocol: string; readonly atRekey: boolean }): string {
  if (!facts.atRekey) return "";
  return facts.protocol === "IKE" ? "The IKE SA comes up and cannot be rekeyed: " : "The Child SA comes up and cannot be rekeyed: ";
}

function list(words: readonly string[]): string {
  return words.length === 0 ? "none" : words.join("/");
}

function first(words: readonly string[]): string {
  return words[0] ?? "none";
}

function quoted(name: string): string {
  return `"${name}"`;
}

function assertNever(value: never): never {
  throw new TypeError(`Unreachable: ${JSON.stringify(value)}`);
}
