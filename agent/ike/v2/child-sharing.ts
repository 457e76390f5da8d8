import type { SaMode } from "../../ipsec/security-association.ts";
import { equalLists } from "../../ipsec/traffic-selector.ts";
import { NotifyType } from "../../wire/iana.ts";
import type { Payload } from "../../wire/ikev2/message-types.ts";
import { writeU32 } from "../../wire/octets.ts";
import { establishedPhase, type IkeSa, type Link } from "../ike-sa.ts";
import { findNotify, notify } from "../messaging.ts";
import { type EspSuite, formatEspSuite } from "../negotiation/choose-proposal.ts";
import type { ProposalSpec } from "../negotiation/proposal-keywords.ts";
import type { Sharing } from "../task.ts";
import { traceChoice } from "../trace.ts";
import { perResourceSas, sharedChildren } from "../traffic-policy.ts";
import type { Turn } from "../turn.ts";
import type { SelectorPair } from "./child-mode.ts";

/*
 * SA_RESOURCE_INFO and TS_MAX_QUEUE (RFC 9611) in the exchanges that make Child SAs. What the notify's data says of the resource is for people
 * who read a trace: nothing here follows from the peer's.
 */

/** What goes before the SA payload of a request. */
export function sharingRequest(sharing: Sharing): Payload[] {
  return sharing.kind === "none" ? [] : [notify(NotifyType.SA_RESOURCE_INFO, resourceOctets(sharing.resource))];
}

export function asksToShare(payloads: readonly Payload[]): boolean {
  return findNotify(payloads, NotifyType.SA_RESOURCE_INFO) !== null;
}

/**
 * Responder: why one more beside those there is refused, when that is what is asked for; null: it is not, or there is room. Those of the same
 * selectors have the same algorithms and mode (RFC 9611).
 */
export function refusalOfFurther(
  turn: Turn,
  sa: IkeSa,
  link: Link,
  asked: SelectorPair & { readonly config: { readonly name: string }; readonly mode: SaMode },
  suite: EspSuite,
): NotifyType | null {
  const phase = establishedPhase(sa);
  const { name } = asked.config;
  const there = (phase === null ? [] : sharedChildren(phase, name)).filter(
    ({ inbound }) => equalLists(inbound.localSelectors, asked.local) && equalLists(inbound.remoteSelectors, asked.remote),
  );
  const [first] = there;
  if (first === undefined) return null;
  if (there.length > perResourceSas(link)) {
    traceChoice(turn, link.config.id, "CREATE_CHILD_SA", `The peer asks for one more Child SA of "${name}"; there are ${there.length}, and no more are taken.`);
    return NotifyType.TS_MAX_QUEUE;
  }
  if (isSameSuite(first.suite, suite) && first.inbound.mode === asked.mode) return null;
  const [has, wants] = [first.suite, suite].map(formatEspSuite);
  traceChoice(
    turn,
    link.config.id,
    "CREATE_CHILD_SA",
    `The peer asks for one more Child SA of "${name}" that is not as those there: ${wants} in place of ${has}.`,
  );
  return NotifyType.NO_PROPOSAL_CHOSEN;
}

/** Of what a link allows, what makes the same suite again; the key exchange is each exchange's own. */
export function specsOf(specs: readonly ProposalSpec[], suite: EspSuite): ProposalSpec[] {
  return specs
    .filter(
      ({ encr, integ, esn }) =>
        (suite.protocol === "ah" || encr.some(({ id, keyLengthBits }) => id === suite.encr && keyLengthBits === suite.keyLengthBits)) &&
        (integ.length === 0 || integ.includes(suite.integ)) &&
        esn.includes(suite.esn),
    )
    .map((spec) => ({
      ...spec,
      encr: spec.encr.filter(({ id, keyLengthBits }) => id === suite.encr && keyLengthBits === suite.keyLengthBits),
      integ: spec.integ.filter((id) => id === suite.integ),
      esn: [suite.esn],
    }));
}

function isSameSuite(a: EspSuite, b: EspSuite): boolean {
  return a.protocol === b.protocol && a.encr === b.encr && a.keyLengthBits === b.keyLengthBits && a.integ === b.integ && a.esn === b.esn;
}

/** Our number of it; empty: of none in particular. */
function resourceOctets(resource: number): Uint8Array {
  if (resource === 0) return new Uint8Array(0);
  const octets = new Uint8Array(4);
  writeU32(octets, 0, resource);
  return octets;
}
