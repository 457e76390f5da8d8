import { findKex } from "../../crypto/key-exchange.ts";
import { NotifyType } from "../../wire/iana.ts";
import type { Payload } from "../../wire/ikev2/message-types.ts";
import { readU16 } from "../../wire/octets.ts";
import { findError, findNotify, findPayload } from "../messaging.ts";
import { chooseIke, describeOffer, describeSpecs, formatIkeSuite } from "../negotiation/choose-proposal.ts";
import { formatKex } from "../negotiation/proposal-keywords.ts";
import { doesIntermediate, MOST_ROUNDS } from "../v2/ike-sa-init.ts";
import { groupRefused, intermediateMissing, noCommonProposal, proposalsRefused } from "./proposals.ts";
import { brokenByPeer, refusedByNotify } from "./refusal.ts";
import { type Conclusion, type Conversation, concluded, failed, type ReplayContext } from "./replay-steps.ts";
import { cookieLoop, cookieReturned } from "./strangers.ts";
import { invalidSyntax } from "../../wire/ikev2/protocol-error.ts";

/* IKE_SA_INIT once more: v2/ike-sa-init.ts decides the same. */

export function* replayInitRequest({ ike }: ReplayContext, payloads: readonly Payload[]): Generator<Conclusion> {
  const offered = findPayload(payloads, "sa");
  const ke = findPayload(payloads, "ke");
  if (offered === null || ke === null) return;
  const choice = chooseIke(offered.proposals, ike, ke.method, doesIntermediate(payloads));
  if (choice === null) {
    const isOnlyExchange = chooseIke(offered.proposals, ike, ke.method, true) !== null;
    return yield failed(isOnlyExchange ? intermediateMissing() : noCommonProposal("IKE", offered.proposals, ike, true, false));
  }
  const suite = formatIkeSuite(choice.suite);
  yield concluded(`Proposal ${choice.proposal.number} of the peer is the first that this side allows: ${suite}.`);
  if (choice.suite.kex !== ke.method) yield concluded(`Its key exchange value is for ${formatKex(ke.method)}; it is asked for ${formatKex(choice.suite.kex)}.`);
}

export function* replayInitResponse(
  context: ReplayContext,
  conversation: Conversation,
  asked: readonly Payload[],
  payloads: readonly Payload[],
  step: number,
): Generator<Conclusion> {
  const error = findError(payloads);
  const keMethod = findPayload(asked, "ke")?.method ?? 0;
  const cookie = findNotify(payloads, NotifyType.COOKIE);
  const hint = (conclusion: Conclusion): void => {
    conversation.hint ??= { step, conclusion };
  };
  if (cookie !== null && findPayload(payloads, "sa") === null) {
    const [address = "the peer"] = context.config.remoteAddresses;
    if (conversation.rounds >= MOST_ROUNDS) return hint(failed(cookieLoop(conversation.rounds, address)));
    conversation.rounds += 1;
    const finding = cookieReturned(address);
    return yield { ...failed(finding), isFinding: true };
  }
  if (error?.type === NotifyType.INVALID_KE_PAYLOAD && error.data.length === 2) {
    const method = readU16(error.data, 0);
    const isOffered = context.ike.some((spec) => spec.kex.some((one) => one === method));
    if (!isOffered || findKex(method) === undefined || method === keMethod || conversation.rounds >= MOST_ROUNDS)
      return hint(failed(groupRefused("IKE", method, describeSpecs(context.ike), false)));
    conversation.rounds += 1;
    return yield concluded(`The peer wants ${formatKex(method)} instead of ${formatKex(keMethod)}; the request is repeated with it.`);
  }
  if (error !== null) {
    const isProposal = error.type === NotifyType.NO_PROPOSAL_CHOSEN;
    return hint(failed(isProposal ? proposalsRefused("IKE", describeSpecs(context.ike), false, true) : refusedByNotify("IKE_SA_INIT", error)));
  }
  const chosen = findPayload(payloads, "sa");
  if (chosen === null) return;
  const choice = chosen.proposals.length === 1 ? chooseIke(chosen.proposals, context.ike, keMethod, doesIntermediate(payloads)) : null;
  if (choice === null)
    return hint(failed(brokenByPeer("answer to IKE_SA_INIT", invalidSyntax(`The peer chose ${describeOffer(chosen.proposals)}, which was not offered.`))));
  conversation.hint = null;
  yield concluded(`The peer chose ${formatIkeSuite(choice.suite)}, which this side offered.`);
}
