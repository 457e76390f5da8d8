import { ExchangeType, nameOf } from "../../wire/iana.ts";
import type { IkeSa, Outstanding } from "../ike-sa.ts";
import type { Failure } from "./failure.ts";

/** The peer did not answer: where it was asked, how often, and what is likely in the way. */
export function silenceFailure(sa: IkeSa, outstanding: Outstanding, tries: number): Failure {
  const where = `${sa.remote.address} port ${sa.remote.port}`;
  const exchange = nameOf(ExchangeType, outstanding.exchangeType);
  const asked = `${exchange} to ${where} was sent ${tries + 1} times`;
  return { code: "PEER_SILENT", sentence: `The peer is silent: ${asked} without an answer; ${likelyCause(sa, outstanding)}.` };
}

function likelyCause(sa: IkeSa, outstanding: Outstanding): string {
  switch (outstanding.task.kind) {
    case "ikeSaInit":
      return "no gateway may run there, or a NAT or firewall is likely to drop UDP on that port";
    case "ikeAuth":
      return sa.remote.port === 500
        ? "IKE_SA_INIT was answered, so a firewall is likely to drop fragments of the longer IKE_AUTH"
        : `IKE_SA_INIT was answered on another port, so a NAT or firewall is likely to drop UDP port ${sa.remote.port}`;
    default:
      return "the SA was up before, so the path or the peer is down";
  }
}
