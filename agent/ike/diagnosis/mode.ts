import type { NatSide } from "../ike-sa.ts";
import type { Failure } from "./failure.ts";

/* Transport mode and AH in plain words. */

/** As initiator: tunnel mode is what the peer has agreed to. `isRequired`: transport mode or nothing. */
export function modeDeclined(child: string, isRequired: boolean): Failure {
  const start = `The peer does not agree to transport mode for "${child}"`;
  return {
    code: "TRANSPORT_MODE_DECLINED",
    sentence: isRequired ? `${start}, which this side requires; the Child SA is deleted.` : `${start}; it is carried in tunnel mode.`,
    facts: { cause: "mode", child, asked: "transport" },
  };
}

/** As responder: the peer does not ask for what this side requires. */
export function transportRequired(child: string): Failure {
  return {
    code: "NO_PROPOSAL_CHOSEN",
    sentence: `The peer asks for tunnel mode; this side allows transport mode only for "${child}".`,
    facts: { cause: "mode", child, asked: "tunnel" },
  };
}

export function ahBehindNat(nat: NatSide): Failure {
  return {
    code: "AH_BEHIND_NAT",
    sentence: `AH cannot pass a NAT, and ${WHERE[nat]}: AH covers the addresses that a NAT changes and has no UDP encapsulation. Use ESP.`,
    facts: { cause: "ahBehindNat", nat },
  };
}

const WHERE: Readonly<Record<NatSide, string>> = {
  none: "this side asks for UDP encapsulation",
  local: "there is one in front of this side",
  remote: "there is one in front of the peer, or the peer asks for UDP encapsulation as if there were",
  both: "there is one in front of each side",
};
