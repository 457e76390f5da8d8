import { formatSelector, type TrafficSelector } from "../../ipsec/traffic-selector.ts";
import type { ChildConfig } from "../endpoint-types.ts";
import type { Failure } from "./failure.ts";

/* TS_UNACCEPTABLE in plain words: both ends' networks. */

/** This side allows nothing of what the peer asks for. `asked` in text, from and to as the peer sees them. */
export function noCommonSelectors(asked: { readonly from: string; readonly to: string }, children: readonly ChildConfig[]): Failure {
  const allowed = children.map((child) => ({ from: listSelectors(child.remoteSelectors), to: listSelectors(child.localSelectors) }));
  const ours = allowed.map((pair) => `${pair.from} to ${pair.to}`).join("; ");
  return {
    code: "TS_UNACCEPTABLE",
    sentence: `The peer asks for traffic from ${asked.from} to ${asked.to}; this side allows ${ours}.`,
    facts: { cause: "selectors", askedFrom: asked.from, askedTo: asked.to, allowed },
  };
}

/** The peer allows nothing of what this side asks for. */
export function selectorsRefused(child: string, local: readonly TrafficSelector[], remote: readonly TrafficSelector[]): Failure {
  const [askedFrom, askedTo] = [listSelectors(local), listSelectors(remote)];
  return {
    code: "TS_UNACCEPTABLE",
    sentence: `The peer accepts no part of the networks of "${child}": this side asked for ${askedFrom} to ${askedTo}.`,
    facts: { cause: "selectorsRefused", child, askedFrom, askedTo },
  };
}

export function listSelectors(selectors: readonly TrafficSelector[]): string {
  return selectors.map(formatSelector).join(", ");
}
