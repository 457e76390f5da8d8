import { equalLists, fromWire, narrow, type TrafficSelector } from "../../ipsec/traffic-selector.ts";
import { Kex, NotifyType, ProtocolId } from "../../wire/iana.ts";
import type { Payload, WireTrafficSelector } from "../../wire/ikev2/message-types.ts";
import { readU16 } from "../../wire/octets.ts";
import type { ChildConfig, Instant, LinkConfig } from "../endpoint-types.ts";
import { findError, findNotify, findPayload } from "../messaging.ts";
import { chooseEsp, chooseIke, describeOffer, formatEspSuite, formatIkeSuite, protocolName } from "../negotiation/choose-proposal.ts";
import { formatKex } from "../negotiation/proposal-keywords.ts";
import { describeSelectors } from "../trace.ts";
import { asksForTransport, modeAllowed } from "../v2/child-mode.ts";
import { childRefusal } from "./child-refusal.ts";
import { ikeRekeyRefusal } from "../v2/rekey-ike.ts";
import { authenticationRefused } from "./identities.ts";
import { modeDeclined, transportRequired } from "./mode.ts";
import { noCommonProposal } from "./proposals.ts";
import { refusedByNotify } from "./refusal.ts";
import { type Conclusion, concluded, failed, type ReplayContext } from "./replay-steps.ts";
import { listSelectors, noCommonSelectors } from "./selectors.ts";

/* CREATE_CHILD_SA and INFORMATIONAL once more: v2/child-negotiation.ts, rekey-child.ts, rekey-ike.ts and informational.ts decide the same. */

export function* replayCreateChildRequest(context: ReplayContext, payloads: readonly Payload[]): Generator<Conclusion> {
  const isRekey = findNotify(payloads, NotifyType.REKEY_SA) !== null;
  if (isRekey || findPayload(payloads, "tsi") !== null) return yield* replayChildOffer(context, payloads, { withKex: true, atRekey: isRekey });
  const offered = findPayload(payloads, "sa");
  const ke = findPayload(payloads, "ke");
  if (offered === null || ke === null) return;
  const choice = chooseIke(offered.proposals, context.ike, ke.method, true);
  yield choice === null
    ? failed(noCommonProposal("IKE", offered.proposals, context.ike, true, true))
    : concluded(`The IKE SA is rekeyed with ${formatIkeSuite(choice.suite)}, the first proposal of the peer that this side allows.`);
}

export function* replayCreateChildResponse(context: ReplayContext, asked: readonly Payload[], payloads: readonly Payload[]): Generator<Conclusion> {
  if (findPayload(asked, "tsi") !== null) return yield* replayChildAnswer(context, asked, payloads, "CREATE_CHILD_SA");
  const error = findError(payloads);
  const offered = findPayload(asked, "sa");
  if (offered === null) {
    if (error !== null) yield failed(refusedByNotify("CREATE_CHILD_SA", error));
    return;
  }
  if (error === null) return yield concluded("The peer agrees to rekey the IKE SA.");
  const isTried = error.type === NotifyType.INVALID_KE_PAYLOAD && isOther(error.data, findPayload(asked, "ke")?.method ?? 0, context.ike);
  if (isTried || error.type === NotifyType.TEMPORARY_FAILURE) return yield concluded("The peer wants it asked for another way or later.");
  yield failed(ikeRekeyRefusal(describeOffer(offered.proposals), error));
}

/** The peer asks for a Child SA. */
export function* replayChildOffer(
  { config, esp }: ReplayContext,
  payloads: readonly Payload[],
  { withKex, atRekey }: { readonly withKex: boolean; readonly atRekey: boolean },
): Generator<Conclusion> {
  const [offered, tsi, tsr] = [findPayload(payloads, "sa"), findPayload(payloads, "tsi"), findPayload(payloads, "tsr")];
  if (offered === null || tsi === null || tsr === null) return;
  const keMethod = findPayload(payloads, "ke")?.method ?? Kex.NONE;
  const choice = chooseEsp(offered.proposals, esp, keMethod, withKex);
  if (choice === null) return yield failed(noCommonProposal(protocolName(esp), offered.proposals, esp, withKex, atRekey));
  yield concluded(`${protocolName(esp)} proposal ${choice.proposal.number} of the peer is the first that this side allows: ${formatEspSuite(choice.suite)}.`);
  if (choice.suite.kex !== Kex.NONE && choice.suite.kex !== keMethod)
    return yield concluded(`Its key exchange value is for ${formatKex(keMethod)}; it is asked for ${formatKex(choice.suite.kex)}.`);
  const [remote, local] = [selectorsOf(tsi.selectors), selectorsOf(tsr.selectors)];
  const isTransportAsked = asksForTransport(payloads);
  for (const child of config.children) {
    const mode = modeAllowed(child, isTransportAsked);
    // Where there is a NAT the addresses are not those of the configuration (RFC 7296 §2.23.1), and the trace does not say what they became.
    if (mode === "transport") return yield concluded(`It is for the transport mode of "${child.name}".`);
    const common = [narrow(remote, child.remoteSelectors), narrow(local, child.localSelectors)] as const;
    if (common.some((list) => list.length === 0)) continue;
    if (mode === null) return yield failed(transportRequired(child.name));
    return yield concluded(`Its networks mean "${child.name}": ${listSelectors(common[0])} to ${listSelectors(common[1])}.`);
  }
  yield failed(noCommonSelectors({ from: describeSelectors(tsi.selectors), to: describeSelectors(tsr.selectors) }, config.children));
}

/** The peer's answer to what we asked for. */
export function* replayChildAnswer(
  { config, esp }: ReplayContext,
  asked: readonly Payload[],
  payloads: readonly Payload[],
  exchange: string,
): Generator<Conclusion> {
  const offer = findPayload(asked, "sa");
  if (offer === null) return;
  const ke = findPayload(asked, "ke");
  const error = findError(payloads);
  const chosen = findPayload(payloads, "sa");
  if (error === null || chosen !== null) {
    const choice = chosen === null ? null : chooseEsp(chosen.proposals, esp, ke?.method ?? Kex.NONE, ke !== null);
    if (choice === null) return;
    yield concluded(`The peer chose ${protocolName(esp)} ${formatEspSuite(choice.suite)}, which this side offered.`);
    const { mode = "tunnel", name } = askedChild(config, asked) ?? { name: "" };
    if (mode === "tunnel" || asksForTransport(payloads)) return;
    const declined = modeDeclined(name, mode === "transport");
    return yield { ...failed(declined), isFinding: mode !== "transport" };
  }
  const isRekey = findNotify(asked, NotifyType.REKEY_SA) !== null;
  if (error.type === NotifyType.TEMPORARY_FAILURE || (isRekey && error.type === NotifyType.CHILD_SA_NOT_FOUND))
    return yield concluded("The peer is busy with another exchange, or has closed the Child SA meanwhile.");
  if (exchange !== "IKE_AUTH" && error.type === NotifyType.INVALID_KE_PAYLOAD && isOther(error.data, ke?.method ?? 0, esp))
    return yield concluded(`The peer wants ${formatKex(readU16(error.data, 0))}; the request is repeated with it.`);
  const { localSelectors, remoteSelectors } = askedSelectors(asked);
  const childName = askedChild(config, asked)?.name ?? "";
  const failure = childRefusal({ childName, offered: offer.proposals, localSelectors, remoteSelectors, kex: ke }, error, exchange, isRekey);
  yield failed(isRekey ? { ...failure, sentence: `The Child SA "${childName}" could not be rekeyed. ${failure.sentence}` } : failure);
}

function askedSelectors(asked: readonly Payload[]): Pick<ChildConfig, "localSelectors" | "remoteSelectors"> {
  const of = (kind: "tsi" | "tsr") => selectorsOf(findPayload(asked, kind)?.selectors ?? []);
  return { localSelectors: of("tsi"), remoteSelectors: of("tsr") };
}

/** The child that the request was for: the one with its selectors, else the first. */
function askedChild({ children }: LinkConfig, asked: readonly Payload[]): ChildConfig | undefined {
  const { localSelectors, remoteSelectors } = askedSelectors(asked);
  return children.find((child) => equalLists(child.localSelectors, localSelectors) && equalLists(child.remoteSelectors, remoteSelectors)) ?? children[0];
}

export function* replayInformational({ config }: ReplayContext, payloads: readonly Payload[], at: Instant): Generator<Conclusion> {
  const error = findError(payloads);
  if (error !== null) {
    const isRefusal = error.type === NotifyType.AUTHENTICATION_FAILED;
    yield failed(isRefusal ? authenticationRefused(config, config.credentials.use, at) : refusedByNotify("last message", error));
  }
  for (const payload of payloads) {
    if (payload.kind === "delete")
      yield concluded(payload.protocolId === ProtocolId.IKE ? "The peer ends the IKE SA." : `The peer ends ${payload.spis.length} Child SA(s).`);
  }
}

/** A group of ours that has not been tried: not a failure, it is asked for again with it. */
function isOther(data: Uint8Array, triedMethod: number, specs: ReplayContext["esp"]): boolean {
  if (data.length !== 2) return false;
  const method = readU16(data, 0);
  return method !== triedMethod && specs.some((spec) => spec.kex.some((one) => one === method));
}

function selectorsOf(wire: readonly WireTrafficSelector[]): TrafficSelector[] {
  return wire.map(fromWire).filter((selector) => selector !== null);
}
