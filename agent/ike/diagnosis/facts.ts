/**
 * What one end knows about a failure, as JSON values: the trace carries them beside the sentence. The causes that end in `Refused`
 * are what the end learns that was refused, by a notify alone: the other end's facts say why.
 */
export type Facts =
  /** The peer's offer and what this side allows. `differences`: of the offer that comes nearest. */
  | {
      readonly cause: "proposals";
      readonly protocol: "IKE" | "ESP";
      readonly offered: string;
      readonly allowed: string;
      readonly differences: readonly Difference[];
      readonly atRekey: boolean;
    }
  | { readonly cause: "proposalsRefused"; readonly protocol: "IKE" | "ESP"; readonly offered: string; readonly atRekey: boolean }
  /** The peer insists on a key exchange that was not offered. */
  | { readonly cause: "groupRefused"; readonly protocol: "IKE" | "ESP"; readonly wanted: string; readonly offered: string; readonly atRekey: boolean }
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
  | { readonly cause: "syntax"; readonly exchange: string; readonly reason: string }
  | { readonly cause: "criticalPayload"; readonly exchange: string; readonly payloadType: number }
  /** An error notify that has no cause of its own here. */
  | { readonly cause: "notifyRefused"; readonly exchange: string; readonly notify: string; readonly payloadType: number | null }
  | { readonly cause: "cookieLoop"; readonly rounds: number; readonly address: string }
  | { readonly cause: "cookieAsked"; readonly halfOpen: number; readonly threshold: number }
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
