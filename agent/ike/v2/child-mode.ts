import { equalLists, narrow, type TrafficSelector } from "../../ipsec/traffic-selector.ts";
import type { SaMode, UdpEndpoint } from "../../ipsec/security-association.ts";
import { addressToBigInt, parseAddress } from "../../wire/address.ts";
import { NotifyType } from "../../wire/iana.ts";
import type { Payload } from "../../wire/ikev2/message-types.ts";
import { invalidSyntax } from "../../wire/ikev2/protocol-error.ts";
import type { AgreedChild } from "../agreement.ts";
import { type Failure, recordFailure, traceFinding } from "../diagnosis/failure.ts";
import { ahBehindNat, modeDeclined } from "../diagnosis/mode.ts";
import type { ChildConfig } from "../endpoint-types.ts";
import { type IkeSa, type Link, type NatSide, sessionOf } from "../ike-sa.ts";
import { findNotify, notify } from "../messaging.ts";
import { protocolOf } from "../negotiation/choose-proposal.ts";
import type { Session } from "../session.ts";
import type { Turn } from "../turn.ts";

/*
 * Transport mode (RFC 7296 §1.3.1): asked for with a notify beside the SA payload, agreed to by the same notify in the answer, and otherwise
 * tunnel mode. Its selectors are the two hosts; behind a NAT each side sees other addresses there (§2.23.1).
 */

/** What goes before the SA payload of a request. */
export function modeRequest({ mode = "tunnel" }: ChildConfig): Payload[] {
  return mode === "tunnel" ? [] : [notify(NotifyType.USE_TRANSPORT_MODE)];
}

/** The same of an answer. */
export function modeAnswer(mode: SaMode): Payload[] {
  return mode === "transport" ? [notify(NotifyType.USE_TRANSPORT_MODE)] : [];
}

export function asksForTransport(payloads: readonly Payload[]): boolean {
  return findNotify(payloads, NotifyType.USE_TRANSPORT_MODE) !== null;
}

/** Responder: the mode that a child of ours would have; null: the peer asks for tunnel mode and only transport mode is allowed. */
export function modeAllowed({ mode = "tunnel" }: ChildConfig, isTransportAsked: boolean): SaMode | null {
  if (isTransportAsked && mode !== "tunnel") return "transport";
  return mode === "transport" ? null : "tunnel";
}

/** Initiator: what the peer has made of our request. Throws INVALID_SYNTAX for an answer to what was not asked. */
export function modeAnswered({ mode = "tunnel" }: ChildConfig, payloads: readonly Payload[]): SaMode {
  if (!asksForTransport(payloads)) return "tunnel";
  if (mode === "tunnel") throw invalidSyntax("The peer answers in transport mode, which was not asked for.");
  return "transport";
}

/** Initiator: tunnel mode was agreed on where transport mode was asked for. True: the child is refused, and the link has been told why. */
export function refusesMode(turn: Turn, link: Link, { config, mode }: AgreedChild, exchange: string): boolean {
  if (mode === "transport" || config.mode === undefined || config.mode === "tunnel") return false;
  const isRequired = config.mode === "transport";
  const told = modeDeclined(config.name, isRequired);
  if (isRequired) recordFailure(turn, link.config.id, exchange, told);
  else traceFinding(turn, link.config.id, exchange, told);
  return isRequired;
}

/** AH covers the addresses that a NAT changes and has no UDP encapsulation; null: nothing is in its way. */
export function obstacleToAh(link: Link, session: Session | null): Failure | null {
  return protocolOf(link.esp) === "ah" && session?.encapsulated === true ? ahBehindNat(session.nat) : null;
}

/** Both lists of a request or answer, as this side sees the addresses: `local` ours. */
export interface SelectorPair {
  readonly local: readonly TrafficSelector[];
  readonly remote: readonly TrafficSelector[];
}

/**
 * RFC 7296 §2.23.1: the peer's selectors with the addresses of the IKE SA in place of those that a NAT in between makes mean something else.
 * As they are when they are not of one host each.
 */
export function asSeenHere(sa: IkeSa, peers: SelectorPair): SelectorPair {
  const nat: NatSide = sessionOf(sa)?.nat ?? "none";
  return {
    local: nat === "local" || nat === "both" ? moved(peers.local, sa.local) : peers.local,
    remote: nat === "remote" || nat === "both" ? moved(peers.remote, sa.remote) : peers.remote,
  };
}

/** What `asSeenHere` did to a list, undone in the part of it that was allowed: the peer gets its own addresses back. */
export function asSeenThere(
  allowed: readonly TrafficSelector[],
  here: readonly TrafficSelector[],
  peers: readonly TrafficSelector[],
): readonly TrafficSelector[] {
  const [host] = peers;
  if (host === undefined || equalLists(here, peers)) return allowed;
  return allowed.map((selector) => ({ ...selector, family: host.family, startAddress: host.startAddress, endAddress: host.endAddress }));
}

/** The part of the peer's selectors that these allow. */
export function narrowPair(peers: SelectorPair, allowed: SelectorPair): { readonly local: TrafficSelector[]; readonly remote: TrafficSelector[] } {
  return { local: narrow(peers.local, allowed.local), remote: narrow(peers.remote, allowed.remote) };
}

function moved(selectors: readonly TrafficSelector[], endpoint: UdpEndpoint | null): readonly TrafficSelector[] {
  const octets = endpoint === null ? null : parseAddress(endpoint.address);
  const [first] = selectors;
  if (octets === null || first === undefined) return selectors;
  const isOneHost = selectors.every((one) => one.startAddress === one.endAddress && one.startAddress === first.startAddress && one.family === first.family);
  if (!isOneHost) return selectors;
  const address = addressToBigInt(octets);
  return selectors.map((one) => ({ ...one, family: octets.length === 4 ? 4 : 6, startAddress: address, endAddress: address }));
}
