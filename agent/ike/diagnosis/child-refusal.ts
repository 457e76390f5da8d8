import { Kex, NotifyType, ProtocolId } from "../../wire/iana.ts";
import { readU16 } from "../../wire/octets.ts";
import type { Notify } from "../ike-sa.ts";
import { describeOffer } from "../negotiation/choose-proposal.ts";
import type { ChildRequest } from "../task.ts";
import type { Failure } from "./failure.ts";
import { groupRefused, proposalsRefused } from "./proposals.ts";
import { refusedByNotify } from "./refusal.ts";
import { selectorsRefused } from "./selectors.ts";

/** What a refusal is compared with: of a ChildRequest, or of a request in a trace. */
export type AskedChild = Pick<ChildRequest, "childName" | "offered" | "localSelectors" | "remoteSelectors"> & { readonly kex: object | null };

/** The sentence for a child that the peer refused, with what this side asked for. `exchange`: what the request went in. */
export function childRefusal(request: AskedChild, error: Pick<Notify, "type" | "data">, exchange: string, atRekey = false): Failure {
  switch (error.type) {
    case NotifyType.TS_UNACCEPTABLE:
      return selectorsRefused(request.childName, request.localSelectors, request.remoteSelectors);
    case NotifyType.NO_PROPOSAL_CHOSEN:
      return proposalsRefused(offeredProtocol(request), describeOffer(request.offered), atRekey, request.kex !== null);
    case NotifyType.INVALID_KE_PAYLOAD:
      return groupRefused(offeredProtocol(request), error.data.length === 2 ? readU16(error.data, 0) : Kex.NONE, describeOffer(request.offered), atRekey);
    default:
      return refusedByNotify(exchange, error);
  }
}

function offeredProtocol({ offered }: AskedChild): "ESP" | "AH" {
  return offered[0]?.protocolId === ProtocolId.AH ? "AH" : "ESP";
}
