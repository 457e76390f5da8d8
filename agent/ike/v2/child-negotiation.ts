import type { AgreedChild } from "../agreement.ts";
import { startKeyExchange } from "../../crypto/key-exchange.ts";
import { fromWire, toWire, type TrafficSelector } from "../../ipsec/traffic-selector.ts";
import { Kex, NotifyType } from "../../wire/iana.ts";
import type { EspSpi, Payload, Proposal, WireTrafficSelector } from "../../wire/ikev2/message-types.ts";
import { IkeProtocolError, invalidSyntax } from "../../wire/ikev2/protocol-error.ts";
import { readU32, writeU32 } from "../../wire/octets.ts";
import { addChild, type ChildSa, type NewChild } from "../child-sa.ts";
import type { Failure } from "../diagnosis/failure.ts";
import { noCommonProposal } from "../diagnosis/proposals.ts";
import { transportRequired } from "../diagnosis/mode.ts";
import { noCommonSelectors } from "../diagnosis/selectors.ts";
import type { ChildConfig } from "../endpoint-types.ts";
import { establishedPhase, type IkeSa, type Link, type Role, sessionOf } from "../ike-sa.ts";
import { findPayload, invalidKe, notify } from "../messaging.ts";
import { chooseEsp, describeOffer, offer, protocolName } from "../negotiation/choose-proposal.ts";
import { deriveChildKeys } from "../negotiation/key-schedule.ts";
import { formatKex } from "../negotiation/proposal-keywords.ts";
import type { ChildRequest } from "../task.ts";
import { describeSelectors, traceChoice } from "../trace.ts";
import { newInboundSpi } from "../inbound-spi.ts";
import { firstWithoutOwn, perResourceSas } from "../traffic-policy.ts";
import type { Turn } from "../turn.ts";
import { chooseChild, type FoundChild } from "./child-choice.ts";
import { asksToShare, refusalOfFurther, sharingRequest, specsOf } from "./child-sharing.ts";
import { asksForTransport, asSeenHere, asSeenThere, modeAnswer, modeAnswered, modeRequest, narrowPair, obstacleToAh, type SelectorPair } from "./child-mode.ts";
import { answerExchange, lowerNonce, NONCE_OCTETS, peerSecret, requireNonce } from "./exchange-values.ts";

/* The part that IKE_AUTH and every CREATE_CHILD_SA of a Child SA share: proposals, selectors, keys (RFC 7296 §1.2, §1.3, §2.9, §2.17). */

/** Our half of a new Child SA. `kexMethod`: a group for PFS, null for none (always in IKE_AUTH). */
export function requestChild(
  turn: Turn,
  sa: IkeSa,
  link: Link,
  child: ChildConfig,
  kexMethod: number | null,
  place: { readonly resource: number; readonly replaces: ChildSa | null } = { resource: 0, replaces: null },
): ChildRequest {
  const inboundSpi = newInboundSpi(turn, link, sa, child.name, place.replaces);
  return {
    childName: child.name,
    config: child,
    inboundSpi,
    nonce: turn.engine.random.bytes(NONCE_OCTETS),
    kex: kexMethod === null ? null : startKeyExchange(kexMethod),
    offered: offer(link.esp, spiOctets(inboundSpi), kexMethod !== null),
    localSelectors: child.localSelectors,
    remoteSelectors: child.remoteSelectors,
    sharing: perResourceSas(link) > 0 ? { kind: "allowed", resource: place.resource } : { kind: "none" },
    deletedMeanwhile: [],
  };
}

/** The same of one beside another: what was agreed on for that one is asked for again, and nothing else (RFC 9611). */
export function requestFurther(turn: Turn, sa: IkeSa, link: Link, there: readonly [ChildSa, ...ChildSa[]], kexMethod: number | null): ChildRequest {
  const [beside] = there;
  const request = requestChild(turn, sa, link, beside.config, kexMethod);
  const { localSelectors, remoteSelectors } = beside.inbound;
  return {
    ...request,
    offered: offer(specsOf(link.esp, beside.suite), spiOctets(request.inboundSpi), kexMethod !== null),
    localSelectors,
    remoteSelectors,
    sharing: { kind: "beside", resource: firstWithoutOwn(link, beside.name) ?? 0, count: there.length },
  };
}

/** The first group that our ESP proposals name; null when they ask for no PFS. */
export function pfsMethod(link: Link): number | null {
  const method = link.esp.find((spec) => spec.kex.length > 0)?.kex[0];
  return method === undefined || method === Kex.NONE ? null : method;
}

/** SA, TSi, TSr for IKE_AUTH; with nonce and, for PFS, KE in CREATE_CHILD_SA. */
export function childRequestPayloads(request: ChildRequest, exchange: "auth" | "create"): Payload[] {
  const selectors: Payload[] = [
    { kind: "tsi", selectors: request.localSelectors.map(toWire) },
    { kind: "tsr", selectors: request.remoteSelectors.map(toWire) },
  ];
  const mode = [...modeRequest(request.config), ...sharingRequest(request.sharing)];
  if (exchange === "auth") return [...mode, { kind: "sa", proposals: request.offered }, ...selectors];
  const ke: Payload[] = request.kex === null ? [] : [{ kind: "ke", method: request.kex.method, data: request.kex.publicData }];
  return [...mode, { kind: "sa", proposals: request.offered }, { kind: "nonce", data: request.nonce }, ...ke, ...selectors];
}

export type ChildAnswer =
  | { readonly ok: true; readonly payloads: Payload[]; readonly agreed: AgreedChild }
  | { readonly ok: false; readonly payloads: Payload[]; readonly failure: Failure | null };

/**
 * Responder: chooses and answers; `installChild` makes the SA when its keys are there. `nonces`: those of IKE_SA_INIT in IKE_AUTH, null in CREATE_CHILD_SA, whose own count.
 * `rekeyed`: the child that is being replaced, whose configuration goes on.
 */
export function answerChild(
  turn: Turn,
  sa: IkeSa,
  link: Link,
  payloads: readonly Payload[],
  nonces: { readonly nonceI: Uint8Array; readonly nonceR: Uint8Array } | null,
  rekeyed: ChildSa | null,
): ChildAnswer {
  const offered = findPayload(payloads, "sa");
  const tsi = findPayload(payloads, "tsi");
  const tsr = findPayload(payloads, "tsr");
  if (offered === null || tsi === null || tsr === null) throw invalidSyntax("A request for a Child SA needs SA, TSi and TSr.");
  const obstacle = obstacleToAh(link, sessionOf(sa));
  if (obstacle !== null) return { ok: false, payloads: [notify(NotifyType.NO_PROPOSAL_CHOSEN)], failure: obstacle };
  const peerNonce = nonces === null ? requireNonce(payloads) : nonces.nonceI;
  const withKex = nonces === null;
  const ke = findPayload(payloads, "ke");
  const choice = chooseEsp(offered.proposals, link.esp, ke?.method ?? Kex.NONE, withKex);
  if (choice === null) {
    const failure = noCommonProposal(protocolName(link.esp), offered.proposals, link.esp, withKex, rekeyed !== null);
    return { ok: false, payloads: [notify(NotifyType.NO_PROPOSAL_CHOSEN)], failure };
  }
  const { suite } = choice;
  if (suite.kex !== Kex.NONE && ke?.method !== suite.kex) {
    traceChoice(
      turn,
      link.config.id,
      "CREATE_CHILD_SA",
      `The peer's key exchange value is for ${formatKex(ke?.method ?? Kex.NONE)}; it is asked for ${formatKex(suite.kex)}.`,
    );
    return { ok: false, payloads: [invalidKe(suite.kex)], failure: null };
  }
  const peers = { local: parseSelectors(tsr.selectors), remote: parseSelectors(tsi.selectors) };
  const found = chooseChild(turn, sa, link, peers, asksForTransport(payloads), rekeyed);
  if (typeof found === "string") return { ok: false, payloads: [notify(NotifyType.NO_PROPOSAL_CHOSEN)], failure: transportRequired(found) };
  if (found === null) {
    const asked = { from: describeSelectors(tsi.selectors), to: describeSelectors(tsr.selectors) };
    return { ok: false, payloads: [notify(NotifyType.TS_UNACCEPTABLE)], failure: noCommonSelectors(asked, link.config.children) };
  }
  const isShared = perResourceSas(link) > 0 && asksToShare(payloads);
  const refused = rekeyed === null && asksToShare(payloads) ? refusalOfFurther(turn, sa, link, found, suite) : null;
  if (refused !== null) return { ok: false, payloads: [notify(refused)], failure: null };
  const answerKex = suite.kex === Kex.NONE ? null : answerExchange(suite.kex, ke!.data);
  const nonceR = nonces === null ? turn.engine.random.bytes(NONCE_OCTETS) : nonces.nonceR;
  const inboundSpi = newInboundSpi(turn, link, sa, found.config.name, rekeyed);
  const agreed: AgreedChild = {
    name: found.config.name,
    config: found.config,
    suite,
    mode: found.mode,
    nonceI: peerNonce,
    nonceR,
    secret: answerKex?.sharedSecret ?? null,
    inboundSpi,
    outboundSpi: readU32(choice.proposal.spi, 0) as EspSpi,
    localSelectors: found.local,
    remoteSelectors: found.remote,
    isShared,
  };
  const proposal = { ...choice.proposal, spi: spiOctets(inboundSpi) };
  const value = answerKex === null ? null : { method: suite.kex, data: answerKex.publicData };
  return { ok: true, payloads: childAnswerPayloads(agreed, found, peers, proposal, value, withKex), agreed };
}

/** SA, TSi and TSr of what was agreed on, the selectors as the peer sees them; `isCreated`: in CREATE_CHILD_SA, with the nonce and, for PFS, KE. */
function childAnswerPayloads(
  agreed: AgreedChild,
  found: FoundChild,
  peers: SelectorPair,
  proposal: Proposal,
  value: { readonly method: number; readonly data: Uint8Array } | null,
  isCreated: boolean,
): Payload[] {
  const local = asSeenThere(found.local, found.here.local, peers.local);
  const remote = asSeenThere(found.remote, found.here.remote, peers.remote);
  return [
    ...modeAnswer(agreed.mode),
    ...(agreed.isShared ? [notify(NotifyType.SA_RESOURCE_INFO)] : []),
    { kind: "sa", proposals: [proposal] },
    ...(isCreated ? [{ kind: "nonce", data: agreed.nonceR } as const] : []),
    ...(value === null ? [] : [{ kind: "ke", ...value } as const]),
    { kind: "tsi", selectors: remote.map(toWire) },
    { kind: "tsr", selectors: local.map(toWire) },
  ];
}

/** Initiator: checks the answer. Throws IkeProtocolError when it is not one to our offer. `nonces` as above. */
export function readChildAnswer(
  sa: IkeSa,
  link: Link,
  request: ChildRequest,
  payloads: readonly Payload[],
  nonces: { readonly nonceI: Uint8Array; readonly nonceR: Uint8Array } | null,
): AgreedChild {
  const chosen = findPayload(payloads, "sa");
  const tsi = findPayload(payloads, "tsi");
  const tsr = findPayload(payloads, "tsr");
  if (chosen === null || tsi === null || tsr === null) throw invalidSyntax("The answer about a Child SA lacks SA, TSi or TSr.");
  const ke = findPayload(payloads, "ke");
  const choice = chooseEsp(chosen.proposals, link.esp, ke?.method ?? Kex.NONE, request.kex !== null);
  if (choice === null || chosen.proposals.length !== 1) {
    throw new IkeProtocolError(NotifyType.NO_PROPOSAL_CHOSEN, "notify", `The peer chose ${describeOffer(chosen.proposals)}, which was not offered.`);
  }
  const { suite } = choice;
  const nonceR = nonces === null ? requireNonce(payloads) : nonces.nonceR;
  const nonceI = nonces === null ? request.nonce : nonces.nonceI;
  let secret: Uint8Array | null = null;
  if (suite.kex !== Kex.NONE) {
    if (ke === null || request.kex === null || ke.method !== suite.kex || request.kex.method !== suite.kex)
      throw invalidSyntax("The answer lacks the key exchange value it chose.");
    secret = peerSecret(() => request.kex!.computeSharedSecret(ke.data));
  }
  const mode = modeAnswered(request.config, payloads);
  const peers = { local: parseSelectors(tsi.selectors), remote: parseSelectors(tsr.selectors) };
  const answered = mode === "transport" ? asSeenHere(sa, peers) : peers;
  const { local: localSelectors, remote: remoteSelectors } = narrowPair(answered, { local: request.localSelectors, remote: request.remoteSelectors });
  if (localSelectors.length === 0 || remoteSelectors.length === 0) {
    throw new IkeProtocolError(
      NotifyType.TS_UNACCEPTABLE,
      "notify",
      `The peer answered with selectors outside of ours: ${describeSelectors(tsi.selectors)} to ${describeSelectors(tsr.selectors)}.`,
    );
  }
  return {
    name: request.childName,
    config: request.config,
    suite,
    mode,
    nonceI,
    nonceR,
    secret,
    inboundSpi: request.inboundSpi,
    outboundSpi: readU32(choice.proposal.spi, 0) as EspSpi,
    localSelectors,
    remoteSelectors,
    isShared: request.sharing.kind !== "none" && asksToShare(payloads),
  };
}

/** The SA that was agreed on. `role` in the exchange; `use` is `never` for the loser of a collision; `replaces`: what is rekeyed. */
export function installChild(
  turn: Turn,
  sa: IkeSa,
  link: Link,
  agreed: AgreedChild,
  additionalSecrets: readonly Uint8Array[],
  role: Role,
  use: NewChild["use"],
  replaces: ChildSa | null = null,
): ChildSa {
  const keys = deriveChildKeys(agreed.suite, requirePhase(sa).session.keys, agreed, agreed.secret, additionalSecrets);
  return addChild(turn, sa, link, {
    name: agreed.name,
    config: agreed.config,
    madeAs: role,
    lowestNonce: lowerNonce(agreed.nonceI, agreed.nonceR),
    suite: agreed.suite,
    mode: agreed.mode,
    inboundSpi: agreed.inboundSpi,
    outboundSpi: agreed.outboundSpi,
    inboundKeys: role === "initiator" ? keys.fromResponder : keys.fromInitiator,
    outboundKeys: role === "initiator" ? keys.fromInitiator : keys.fromResponder,
    localSelectors: agreed.localSelectors,
    remoteSelectors: agreed.remoteSelectors,
    // A rekey may leave the notify out, and the new one has the place of the old one all the same (RFC 9611).
    isShared: agreed.isShared || replaces?.isShared === true,
    replaces: replaces?.id ?? null,
    use,
  });
}

/**
 * Initiator: tunnel mode is not what this side wants: it is made only to be deleted (RFC 7296 §1.3.1). Where additional key exchanges were to
 * follow neither end has made it.
 */
export function refuseChild(turn: Turn, sa: IkeSa, link: Link, agreed: AgreedChild): void {
  if (agreed.suite.additional.length > 0) return;
  const refused = installChild(turn, sa, link, agreed, [], "initiator", "never");
  sa.window.queue.push({ kind: "deleteChild", childSaId: refused.id });
}

/** The peer's DELETE of the new Child SA may overtake its answer: then nothing is made. */
export function isDeletedMeanwhile(request: ChildRequest, agreed: AgreedChild): boolean {
  return request.deletedMeanwhile.includes(agreed.outboundSpi);
}

export function spiOctets(spi: EspSpi): Uint8Array {
  const octets = new Uint8Array(4);
  writeU32(octets, 0, spi);
  return octets;
}

function parseSelectors(wire: readonly WireTrafficSelector[]): TrafficSelector[] {
  return wire.map(fromWire).filter((selector) => selector !== null);
}

function requirePhase(sa: IkeSa): NonNullable<ReturnType<typeof establishedPhase>> {
  const phase = establishedPhase(sa);
  if (phase === null) throw new TypeError("The IKE SA is not established.");
  return phase;
}
