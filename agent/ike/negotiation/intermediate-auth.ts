import type { AdditionalKex, IkeSuite } from "./choose-proposal.ts";
import { computePrf } from "../../crypto/prf.ts";
import { concatOctets, writeU32 } from "../../wire/octets.ts";
import type { IkeKeys } from "./key-schedule.ts";

/* How IKE_AUTH authenticates the IKE_INTERMEDIATE exchanges before it (RFC 9242 §3.3.2). */

/** IntAuth_iN and IntAuth_rN after N exchanges. */
export interface IntermediateMacs {
  readonly initiator: Uint8Array;
  readonly responder: Uint8Array;
  readonly exchanges: number;
}

/** The additional key exchange whose turn it is between IKE_SA_INIT and IKE_AUTH; null: all are done. */
export function nextAdditional({ additional }: IkeSuite, macs: IntermediateMacs | null): AdditionalKex | null {
  return additional[macs?.exchanges ?? 0] ?? null;
}

/**
 * Adds one exchange: IntAuth_iN = prf(SK_piN, IntAuth_i(N-1) | IntAuth_iNA | IntAuth_iNP), and the same for the responder.
 * `keys` are those that protected it; `request` and `response` are in the plain form that `plainForm` makes.
 */
export function addIntermediate(before: IntermediateMacs | null, keys: IkeKeys, request: Uint8Array, response: Uint8Array): IntermediateMacs {
  return {
    initiator: computePrf(keys.prf, keys.skPi, before?.initiator ?? NO_OCTETS, request),
    responder: computePrf(keys.prf, keys.skPr, before?.responder ?? NO_OCTETS, response),
    exchanges: (before?.exchanges ?? 0) + 1,
  };
}

/** IntAuth = IntAuth_iN | IntAuth_rN | IKE_AUTH_MID: the end of what both sides sign; empty without such exchanges. */
export function intermediateAuth(macs: IntermediateMacs | null): Uint8Array {
  if (macs === null) return NO_OCTETS;
  const messageId = new Uint8Array(4);
  // IKE_SA_INIT is message 0, and nothing else comes in between.
  writeU32(messageId, 0, macs.exchanges + 1);
  return concatOctets([macs.initiator, macs.responder, messageId]);
}

const NO_OCTETS = new Uint8Array(0);
