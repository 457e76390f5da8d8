import { ExchangeType, nameOf } from "../../wire/iana.ts";
import type { IkeSa, Outstanding } from "../ike-sa.ts";
import type { Failure } from "./failure.ts";

/** The peer did not answer: where it was asked, how often, and what is likely in the way. */
export function silenceFailure(sa: IkeSa, outstanding: Outstanding, tries: number): Failure {
  const { address, port } = sa.remote;
  const exchange = nameOf(ExchangeType, outstanding.exchangeType);
  const cookieAsked = sa.phase.kind === "initSent" && sa.phase.offer.cookie !== null;
  const sends = tries + 1;
  const asked = `${exchange} to ${address} port ${port} was sent ${sends} times without an answer`;
  return {
    code: "PEER_SILENT",
    sentence: `The peer is silent: ${asked}; ${likelyCause(sa, outstanding, cookieAsked)}.`,
    facts: { cause: "silence", exchange, address, port, sends, cookieAsked },
  };
}

function likelyCause(sa: IkeSa, outstanding: Outstanding, cookieAsked: boolean): string {
  switch (outstanding.task.kind) {
    case "ikeSaInit":
      return cookieAsked
        ? "it asked for a cookie first, so it is reached and is likely at its limit of half-open IKE SAs"
        : "no gateway may run there, or a NAT or firewall is likely to drop UDP on that port";
    case "ikeIntermediate":
    case "ikeAuth":
      return sa.remote.port === 500
        ? "IKE_SA_INIT was answered, so a firewall is likely to drop fragments of longer messages"
        : `IKE_SA_INIT was answered on another port, so a NAT or firewall is likely to drop UDP port ${sa.remote.port}`;
    default:
      return "the SA was up before, so the path or the peer is down";
  }
}
