import type { Failure } from "./failure.ts";

/* What happens to an IKE_SA_INIT before anyone knows who sent it. */

export function noLinkBetween(local: string, remote: string): Failure {
  return {
    code: "NO_PROPOSAL_CHOSEN",
    sentence: `No link of this gateway is between ${local} and ${remote}.`,
    facts: { cause: "noLink", local, remote },
  };
}

/** It is found by no stranger until it is brought up again. */
export function linkIsDown(local: string, remote: string): Failure {
  return {
    code: "NO_PROPOSAL_CHOSEN",
    sentence: `The link between ${local} and ${remote} was taken down here: whoever calls is refused until it is brought up.`,
    facts: { cause: "linkDown", local, remote },
  };
}

/** RFC 7296 §2.6: nothing is remembered of a request until it brings the cookie back. */
export function cookieAsked(halfOpen: number, threshold: number, address: string): Failure {
  return {
    code: "COOKIE",
    sentence: `${halfOpen} IKE SAs are half open, and from ${threshold} on a cookie is asked for: ${address} has to send its request again with it.`,
    facts: { cause: "cookieAsked", halfOpen, threshold },
  };
}

export function cookieReturned(address: string): Failure {
  return {
    code: "COOKIE",
    sentence: `${address} is busy and asks for a cookie; the request is sent again with it.`,
    facts: { cause: "cookieReturned", address },
  };
}

export function halfOpenLimit(halfOpen: number, limit: number, address: string): Failure {
  return {
    code: "HALF_OPEN_LIMIT",
    sentence: `${halfOpen} IKE SAs are half open, the limit is ${limit}: a request from ${address} is dropped.`,
    facts: { cause: "halfOpenLimit", halfOpen, limit },
  };
}

export function cookieLoop(rounds: number, address: string): Failure {
  return {
    code: "COOKIE",
    sentence: `${address} asks for a cookie again although it was sent back ${rounds} times: a NAT is likely to change this side's address or port with every datagram.`,
    facts: { cause: "cookieLoop", rounds, address },
  };
}
