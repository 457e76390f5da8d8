import type { RevocationQuery } from "../../crypto/revocation.ts";
import { ExchangeType } from "../../wire/iana.ts";
import { type PlainOctets, readablePayloads } from "../../wire/ikev2/message.ts";
import type { Message } from "../../wire/ikev2/message-types.ts";
import type { UdpEndpoint } from "../../ipsec/security-association.ts";
import { recordFailure } from "../diagnosis/failure.ts";
import { certificateRefused } from "../diagnosis/identities.ts";
import type { Credentials } from "../endpoint-types.ts";
import { establishedPhase, type IkeSa, isEnding } from "../ike-sa.ts";
import { findPayload } from "../messaging.ts";
import { peerPath } from "../negotiation/authentication.ts";
import { judgeRevocation, openQueries } from "../negotiation/peer-revocation.ts";
import type { WireIdentity } from "../negotiation/identity.ts";
import { queueDeleteIke } from "../task.ts";
import { traceChoice } from "../trace.ts";
import { linkById, touchIkeSa, type Turn } from "../turn.ts";

/*
 * The engine asks nobody. An IKE_AUTH message whose certificate somebody has to be asked about is put aside before anything of it
 * counts, as if it were still on its way, and taken up when the answer is there, or the word that there is none.
 */

/** An authentic message that waits, with all that taking it up needs. */
export interface HeldMessage {
  readonly message: Message;
  readonly contents: PlainOctets;
  readonly local: UdpEndpoint;
  readonly remote: UdpEndpoint;
}

/** Whether this message has to wait; then it is held, and what has to be asked is an effect. Asked again for every repetition of it. */
export function holdForRevocation(turn: Turn, sa: IkeSa, held: HeldMessage): boolean {
  if (turn.engine.options.revocation === undefined || held.message.header.exchangeType !== ExchangeType.IKE_AUTH) return false;
  if (sa.phase.kind !== "initAnswered" && sa.phase.kind !== "authSent") return false;
  const queries = queriesOf(turn, sa, held.contents);
  if (queries.length === 0) return false;
  if (!turn.engine.held.has(sa)) {
    const names = queries.map((query) => query.certificate.subjectText).join(" and ");
    traceChoice(turn, sa.linkId ?? sa.candidateLinkId, "IKE_AUTH", `It is asked whether the certificate of ${names} is revoked; the message waits for that.`);
  }
  turn.engine.held.set(sa, held);
  for (const query of queries) turn.effects.push({ kind: "askRevocation", query });
  return true;
}

function queriesOf(turn: Turn, sa: IkeSa, contents: PlainOctets): RevocationQuery[] {
  const source = turn.engine.options.revocation;
  // What cannot be read does not wait: it is refused as ever.
  const payloads = readablePayloads(contents) ?? [];
  const identity = findPayload(payloads, sa.role === "initiator" ? "idr" : "idi");
  if (source === undefined || identity === null) return [];
  for (const credentials of credentialsFor(turn, sa, identity)) {
    if (credentials.method !== "certificate" || (credentials.revocation ?? "off") === "off") continue;
    // A certificate that is refused anyway is asked about nobody: its addresses would be a stranger's choice.
    const path = peerPath(credentials, identity, payloads, turn.wallNow);
    const queries = path === null ? [] : openQueries(path, source, turn.wallNow);
    if (queries.length > 0) return queries;
  }
  return [];
}

/** As responder the link is only found when the message counts. */
function credentialsFor(turn: Turn, sa: IkeSa, peer: WireIdentity): Credentials[] {
  if (sa.linkId !== null) return [linkById(turn, sa.linkId)?.config.credentials ?? []].flat();
  const candidates = turn.engine.links.between(sa.local?.address ?? "", sa.remote.address);
  return candidates.byPeer(peer).map((link) => link.config.credentials);
}

/** The messages that waited. Each is to be taken up as if it came now; it may have to wait again. */
export function releaseHeld(turn: Turn): [IkeSa, HeldMessage][] {
  const released = [...turn.engine.held];
  turn.engine.held.clear();
  for (const [sa] of released) touchIkeSa(turn, sa);
  return released;
}

/** Ends the IKE SAs of peers whose certificates have been revoked since they were authenticated. */
export function endRevoked(turn: Turn): void {
  for (const sa of turn.engine.ikeSas.values()) {
    const phase = establishedPhase(sa);
    const config = sa.linkId === null ? undefined : turn.engine.links.get(sa.linkId)?.config;
    if (phase === null || phase.authentication.path.length === 0 || config === undefined || isEnding(sa)) continue;
    const { credentials } = config;
    if (credentials.method !== "certificate") continue;
    const { refusal } = judgeRevocation(phase.authentication.path, credentials.revocation ?? "off", turn.engine.options.revocation, turn.wallNow);
    if (refusal?.code !== "revoked") continue;
    touchIkeSa(turn, sa);
    recordFailure(turn, config.id, "REVOCATION", certificateRefused(phase.remoteIdentity, refusal));
    queueDeleteIke(sa);
  }
}
