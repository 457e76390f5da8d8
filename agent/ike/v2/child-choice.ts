import type { SaMode } from "../../ipsec/security-association.ts";
import { contains, equalLists, formatSelector, type TrafficSelector } from "../../ipsec/traffic-selector.ts";
import { type ChildSa, liveChildren } from "../child-sa.ts";
import type { ChildConfig } from "../endpoint-types.ts";
import type { IkeSa, Link } from "../ike-sa.ts";
import { traceChoice } from "../trace.ts";
import type { Turn } from "../turn.ts";
import { asSeenHere, modeAllowed, narrowPair, type SelectorPair } from "./child-mode.ts";

/* Responder: which of a link's children a request for a Child SA is about, and what of its selectors that one allows (RFC 7296 §2.9). */

export interface FoundChild {
  readonly config: ChildConfig;
  readonly mode: SaMode;
  readonly local: TrafficSelector[];
  readonly remote: TrafficSelector[];
  /** What the peer asked for, as this side sees the addresses. */
  readonly here: SelectorPair;
}

/**
 * The child of ours that the offered selectors mean: exactly equal before narrowed, without an SA before with one. A name: only this one fits,
 * and it is not allowed in tunnel mode, which the peer asks for.
 */
export function chooseChild(
  turn: Turn,
  sa: IkeSa,
  link: Link,
  peers: SelectorPair,
  isTransportAsked: boolean,
  rekeyed: ChildSa | null,
): FoundChild | string | null {
  let best: (FoundChild & { readonly rank: number }) | null = null;
  let refused: string | null = null;
  for (const config of link.config.children) {
    if (rekeyed !== null && config.name !== rekeyed.name) continue;
    const mode = modeAllowed(config, isTransportAsked);
    const here = mode === "transport" ? asSeenHere(sa, peers) : peers;
    const { local, remote } = narrowPair(here, { local: config.localSelectors, remote: config.remoteSelectors });
    if (remote.length === 0 || local.length === 0) continue;
    if (mode === null) {
      refused ??= config.name;
      continue;
    }
    const isExact = equalLists(remote, config.remoteSelectors) && equalLists(local, config.localSelectors);
    const rank = (isExact ? 2 : 0) + (liveChildren(turn, link.config.id, config.name).length === 0 ? 1 : 0);
    if (best === null || rank > best.rank) best = { config, mode, local, remote, here, rank };
  }
  if (best === null) return refused;
  traceNarrowing(turn, link, best);
  return best;
}

function traceNarrowing(turn: Turn, link: Link, { config, here, local, remote }: FoundChild): void {
  const isWhole =
    here.remote.every((one) => remote.some((other) => contains(other, one))) && here.local.every((one) => local.some((other) => contains(other, one)));
  if (isWhole) return;
  const [from, to] = [remote, local].map((list) => list.map(formatSelector).join(", "));
  traceChoice(turn, link.config.id, "CHILD_SA", `The peer's selectors are narrowed to "${config.name}": ${from} to ${to}.`);
}
