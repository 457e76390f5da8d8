/**
 * What one end knows about a failure, as JSON values: the trace carries them beside the sentence. The causes that end in `Refused`
 * are what the end learns that was refused, by a notify alone: the other end's facts say why.
 */
export type Facts =
  /** The peer's offer and what this side allows. `differences`: of the offer that comes nearest. */
  | {
      readonly cause: "proposals";
      readonly protocol: "IKE" | "ESP" | "AH";
      readonly offered: string;
      readonly allowed: string;
      readonly differences: readonly Difference[];
      readonly atRekey: boolean;
    }
  /** AH against ESP. */
  | { readonly cause: "protocols"; readonly offered: string; readonly allowed: string }
  | { readonly cause: "intermediateMissing" }
  | { readonly cause: "proposalsRefused"; readonly protocol: "IKE" | "ESP" | "AH"; readonly offered: string; readonly atRekey: boolean }
  /** The peer insists on a key exchange that was not offered. */
  | { readonly cause: "groupRefused"; readonly protocol: "IKE" | "ESP" | "AH"; readonly wanted: string; readonly offered: string; readonly atRekey: boolean }
  /** `tried`: the names of this side's keys. */
  | { readonly cause: "preSharedKeys"; readonly peer: string; readonly tried: readonly string[] }
  | { readonly cause: "authenticationMethod"; readonly theirs: string; readonly ours: string }
  | { readonly cause: "certificate"; readonly problem: string; readonly peer: string; readonly reason: string }
  | { readonly cause: "ownCredential"; readonly reason: string }
  | {
      readonly cause: "authenticationRefused";
      readonly local: string;
      readonly remote: string;
      readonly method: "psk" | "certificate";
      readonly credentialId: string;
    }
  /** Who the peer says it is, and who was expected. */
  | { readonly cause: "peerIdentity"; readonly claimed: string; readonly expected: string }
  /** Whom the peer wants to reach, and who this side is. */
  | { readonly cause: "ownIdentity"; readonly wanted: string; readonly own: string }
  /** Networks as seen by the end that asks: `askedFrom` are its own. `allowed`: pairs "from to to", as seen by the same end. */
  | { readonly cause: "selectors"; readonly askedFrom: string; readonly askedTo: string; readonly allowed: readonly SelectorPair[] }
  | { readonly cause: "selectorsRefused"; readonly child: string; readonly askedFrom: string; readonly askedTo: string }
  /** Of a child, "transport": the peer declined it; "tunnel": this side did, since it allows transport mode only. */
  | { readonly cause: "mode"; readonly child: string; readonly asked: "transport" | "tunnel" }
  | { readonly cause: "ahBehindNat"; readonly nat: string }
  | {
      readonly cause: "silence";
      readonly exchange: string;
      readonly address: string;
      readonly port: number;
      readonly sends: number;
      /** The peer had asked for a cookie before it fell silent. */
      readonly cookieAsked: boolean;
    }
  | { readonly cause: "noLink"; readonly local: string; readonly remote: string }
  /** There is one, and it was taken down. */
  | { readonly cause: "linkDown"; readonly local: string; readonly remote: string }
  | { readonly cause: "syntax"; readonly exchange: string; readonly reason: string }
  | { readonly cause: "criticalPayload"; readonly exchange: string; readonly payloadType: number }
  /** An error notify that has no cause of its own here. */
  | { readonly cause: "notifyRefused"; readonly exchange: string; readonly notify: string; readonly payloadType: number | null }
  | { readonly cause: "cookieLoop"; readonly rounds: number; readonly address: string }
  | { readonly cause: "cookieAsked"; readonly halfOpen: number; readonly threshold: number }
  | { readonly cause: "cookieReturned"; readonly address: string }
  | { readonly cause: "halfOpenLimit"; readonly halfOpen: number; readonly limit: number }
  /** The peer deleted an SA that it had not rekeyed. Milliseconds; `rekeyMs`: this side's setting. */
  | { readonly cause: "lifetime"; readonly what: "IKE SA" | "Child SA"; readonly name: string; readonly ageMs: number; readonly rekeyMs: number }
  | { readonly cause: "duplicate"; readonly closedBy: "this side" | "the peer"; readonly spis: readonly string[] };

/** `kind`: "encryption", "key exchange", …; keywords of what was offered and what is allowed. */
export interface Difference {
  readonly kind: string;
  readonly offered: readonly string[];
  readonly allowed: readonly string[];
}

export interface SelectorPair {
  readonly from: string;
  readonly to: string;
}

export type Cause = Facts["cause"];

/** The facts in a trace entry's detail; null: none, or not of a form known here (a trace may come from a file). */
export function factsOf(detail: Readonly<Record<string, unknown>>): Facts | null {
  const { facts } = detail;
  return isFacts(facts) ? facts : null;
}

function isFacts(value: unknown): value is Facts {
  if (!isRecord(value) || typeof value["cause"] !== "string" || !Object.hasOwn(SHAPES, value["cause"])) return false;
  const shape: Readonly<Record<string, Check>> = SHAPES[value["cause"] as Cause];
  return Object.entries(shape).every(([key, check]) => check(value[key]));
}

type Check = (value: unknown) => boolean;

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;
const text: Check = (value) => typeof value === "string";
const number: Check = (value) => typeof value === "number";
const truth: Check = (value) => typeof value === "boolean";
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const texts = listOf(text);
const differences = listOf((one) => isRecord(one) && text(one["kind"]) && texts(one["offered"]) && texts(one["allowed"]));
const pairs = listOf((one) => isRecord(one) && text(one["from"]) && text(one["to"]));

const SHAPES: { readonly [C in Cause]: { readonly [K in Exclude<keyof Extract<Facts, { cause: C }>, "cause">]: Check } } = {
  proposals: { protocol: text, offered: text, allowed: text, differences, atRekey: truth },
  protocols: { offered: text, allowed: text },
  intermediateMissing: {},
  proposalsRefused: { protocol: text, offered: text, atRekey: truth },
  groupRefused: { protocol: text, wanted: text, offered: text, atRekey: truth },
  preSharedKeys: { peer: text, tried: texts },
  authenticationMethod: { theirs: text, ours: text },
  certificate: { problem: text, peer: text, reason: text },
  ownCredential: { reason: text },
  authenticationRefused: { local: text, remote: text, method: text, credentialId: text },
  peerIdentity: { claimed: text, expected: text },
  ownIdentity: { wanted: text, own: text },
  selectors: { askedFrom: text, askedTo: text, allowed: pairs },
  selectorsRefused: { child: text, askedFrom: text, askedTo: text },
  mode: { child: text, asked: text },
  ahBehindNat: { nat: text },
  silence: { exchange: text, address: text, port: number, sends: number, cookieAsked: truth },
  noLink: { local: text, remote: text },
  linkDown: { local: text, remote: text },
  syntax: { exchange: text, reason: text },
  criticalPayload: { exchange: text, payloadType: number },
  notifyRefused: { exchange: text, notify: text, payloadType: (value) => value === null || number(value) },
  cookieLoop: { rounds: number, address: text },
  cookieAsked: { halfOpen: number, threshold: number },
  cookieReturned: { address: text },
  halfOpenLimit: { halfOpen: number, limit: number },
  lifetime: { what: text, name: text, ageMs: number, rekeyMs: number },
  duplicate: { closedBy: text, spis: texts },
};
