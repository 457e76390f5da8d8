import { retireOutbound } from "./child-sa.ts";
import type { LinkConfig } from "./endpoint-types.ts";
import { childrenOf, establishedPhase, type IkeSa, isBeginning, type Link, waitsForPackets } from "./ike-sa.ts";
import { toWireIdentity } from "./negotiation/identity.ts";
import { childProposals } from "./negotiation/child-proposals.ts";
import { parseProposal } from "./negotiation/proposal-keywords.ts";
import { removeIkeSa } from "./sa-removal.ts";
import { queueDeleteIke } from "./task.ts";
import { traceChoice } from "./trace.ts";
import { deleteTrafficPolicy, discardTraffic } from "./traffic-policy.ts";
import { ikeSasOf, linkById, type Turn } from "./turn.ts";

/* What the caller says about links: configuration and commands. What follows from it is link-upkeep.ts. */

/**
 * A new link, or the difference to the one that is there: the same configuration changes nothing; lifetimes and the list of
 * credentials take effect with the next exchange; children come and go by themselves; what the IKE SA was authenticated for
 * (identities, addresses, proposals) makes it be negotiated anew beside the old one.
 */
export function setLink(turn: Turn, config: LinkConfig): void {
  const ike = config.ikeProposals.map((text) => parseProposal(text, "ike"));
  const esp = childProposals(config);
  // Both throw for what is no identity, before anything has changed.
  for (const identity of [config.localIdentity, config.remoteIdentity]) toWireIdentity(identity);
  const link = linkById(turn, config.id);
  if (link === null) return addLink(turn, config, { ike, esp });
  const before = link.config;
  if (comparable(before) === comparable(config)) return;
  turn.engine.links.change(link, () => {
    Object.assign(link, { config, ike, esp });
    if (before.initiate !== config.initiate) link.wanted = wantedBy(config);
  });
  const mustRenegotiate = comparable(identityPart(before)) !== comparable(identityPart(config));
  if (mustRenegotiate && link.wanted !== "down" && ikeSasOf(turn, config.id).some((sa) => establishedPhase(sa) !== null)) {
    traceChoice(turn, config.id, "CONFIGURATION", "Identities, addresses or proposals changed: the IKE SA is negotiated anew beside the old one.");
    link.replaceWantedAt = turn.now;
  }
  // An attempt under the old configuration would only fail.
  for (const sa of ikeSasOf(turn, config.id)) if (isBeginning(sa)) removeIkeSa(turn, sa);
  link.retryAt = null;
  link.furtherLimits = null;
  updateChildren(turn, link, before);
}

/** Deletes the SAs with the peer and forgets the link. */
export function removeLink(turn: Turn, linkId: string): void {
  const link = linkById(turn, linkId);
  if (link === null) return;
  for (const name of [...link.policies.keys()]) deleteTrafficPolicy(turn, link, name);
  for (const sa of ikeSasOf(turn, linkId)) closeWithPeer(turn, sa);
  turn.engine.links.delete(linkId);
  if (ikeSasOf(turn, linkId).length > 0) turn.engine.leaving.set(linkId, link);
}

/**
 * `up` begins even a link that only responds; `down` ends it until `up`; `restart` is both; `reauthenticate` makes before it breaks, and begins a
 * link that has no IKE SA to replace: one that waits for packets does so again afterwards.
 */
export function commandLink(turn: Turn, link: Link, command: "up" | "down" | "restart" | "reauthenticate"): void {
  traceChoice(turn, link.config.id, "COMMAND", `Command: ${command}.`);
  link.retryAt = null;
  link.retryDelayMs = turn.engine.options.retryFirstMs;
  switch (command) {
    case "up":
      return want(turn, link, "up");
    case "down":
      want(turn, link, "down");
      link.replaceWantedAt = null;
      for (const sa of ikeSasOf(turn, link.config.id)) closeWithPeer(turn, sa);
      return;
    case "restart":
      want(turn, link, "up");
      link.replaceWantedAt = null;
      for (const sa of ikeSasOf(turn, link.config.id)) closeWithPeer(turn, sa);
      return;
    case "reauthenticate":
      if (link.wanted === "down") return traceChoice(turn, link.config.id, "COMMAND", "The link is to be down: there is nothing to authenticate anew.");
      link.replaceWantedAt = turn.now;
      link.resting.clear();
      if (link.wanted === "respond" && !waitsForPackets(link)) want(turn, link, "up");
      return;
    default:
      assertNever(command);
  }
}

function wantedBy(config: LinkConfig): Link["wanted"] {
  return config.initiate === "start" ? "up" : "respond";
}

/** The peer of an established IKE SA is silent: whether the link begins anew is its configuration's to say. */
export function loseTouch(turn: Turn, link: Link): void {
  const action = link.config.livenessAction ?? "restart";
  if (action === "restart" || link.wanted !== "up") return;
  traceChoice(
    turn,
    link.config.id,
    "LIVENESS",
    action === "clear" ? "Nothing is begun anew until the peer calls or `up` is commanded." : "It is begun anew when a packet wants through.",
  );
  want(turn, link, "respond");
}

/** The IKE SA has ended, or is about to, by the peer's doing: the link that it carried pauses for a moment before it begins anew. */
export function beginAgainLater(turn: Turn, sa: IkeSa, link: Link | null): void {
  const wasReplaced = sa.phase.kind === "established" && sa.phase.successor !== null;
  if (link !== null && !wasReplaced && childrenOf(sa).size > 0) link.retryAt = turn.now + turn.engine.options.retryFirstMs;
}

/** What is wanted decides who finds the link too. */
export function want(turn: Turn, link: Link, wanted: Link["wanted"]): void {
  turn.engine.links.change(link, () => {
    link.wanted = wanted;
  });
  link.resting.clear();
}

export function rekeyLink(turn: Turn, link: Link, what: "ike" | "child" | "all"): void {
  for (const sa of ikeSasOf(turn, link.config.id)) {
    const phase = establishedPhase(sa);
    if (phase === null || phase.successor !== null) continue;
    if (what !== "ike") {
      for (const child of phase.children.values()) if (child.state.kind === "established") sa.window.queue.push({ kind: "rekeyChild", childSaId: child.id });
    }
    if (what !== "child") sa.window.queue.push({ kind: "rekeyIke" });
  }
}

/**
 * With a DELETE that is repeated until answered. It waits for the answer to the request that is under way (RFC 7296 §2.3): what that
 * one makes at the peer has to go too. Nothing is sent over its children meanwhile.
 */
export function closeWithPeer(turn: Turn, sa: IkeSa): void {
  if (sa.phase.kind === "closed" || sa.phase.kind === "deleting") return;
  // The peer takes it for established from its answer to IKE_AUTH on.
  if (establishedPhase(sa) === null && sa.phase.kind !== "authSent") return removeIkeSa(turn, sa);
  const link = linkById(turn, sa.linkId);
  queueDeleteIke(sa);
  for (const child of childrenOf(sa).values()) retireOutbound(turn, link, child);
}

function addLink(turn: Turn, config: LinkConfig, parsed: Pick<Link, "ike" | "esp">): void {
  const link: Link = {
    config,
    ...parsed,
    wanted: wantedBy(config),
    retryAt: null,
    retryDelayMs: turn.engine.options.retryFirstMs,
    attempts: 0,
    replaceWantedAt: null,
    state: "down",
    since: turn.now,
    lastFailure: null,
    policies: new Map(),
    resting: new Set(),
    idleSince: new Map(),
    lookAt: null,
    isProbed: true,
    furtherLimits: null,
  };
  turn.engine.links.add(link);
  turn.touched.links.add(link);
  for (const child of config.children) discardTraffic(turn, link, child);
}

/** Traffic of a child whose networks changed waits for its new SA, which upkeepLink has made; the others keep theirs. */
function updateChildren(turn: Turn, link: Link, before: LinkConfig): void {
  for (const old of before.children) {
    const now = link.config.children.find((child) => child.name === old.name);
    if (now !== undefined && comparable(now) === comparable(old)) continue;
    if (now === undefined) deleteTrafficPolicy(turn, link, old.name);
    else discardTraffic(turn, link, now);
  }
  for (const child of link.config.children) if (!link.policies.has(child.name)) discardTraffic(turn, link, child);
}

function identityPart(config: LinkConfig): unknown {
  return {
    localAddress: config.localAddress,
    localIdentity: config.localIdentity,
    remoteAddresses: config.remoteAddresses,
    remotePort: config.remotePort,
    remoteIdentity: config.remoteIdentity,
    ikeProposals: config.ikeProposals,
    espProposals: config.espProposals,
    ahProposals: config.ahProposals,
    forceEncapsulation: config.forceEncapsulation,
    interfaceNumber: config.interfaceNumber,
    method: config.credentials.method,
  };
}

function comparable(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part === "bigint") return `${part}n`;
    return part instanceof Uint8Array ? Array.from(part) : part;
  });
}

function assertNever(value: never): never {
  throw new TypeError(`Unreachable: ${String(value)}`);
}
