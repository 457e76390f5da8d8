import type { ChildSaSnapshot, IkeSaSnapshot, LinkSnapshot } from "./endpoint-types.ts";
import type { ChildSa } from "./child-sa.ts";
import { childrenOf, type IkeSa, type Link, remoteIdentityOf, sessionOf } from "./ike-sa.ts";
import { closesAt } from "./inactivity.ts";
import { formatEspSuite, formatIkeSuite, isPostQuantum } from "./negotiation/choose-proposal.ts";
import { describeIdentity } from "./negotiation/identity.ts";
import { placeOf } from "./traffic-policy.ts";
import type { EngineState } from "./turn.ts";

/** A picture for reports: copies, no secrets. */
export function snapshotLinks(engine: EngineState): LinkSnapshot[] {
  return [...engine.links.values()].map((link) => ({
    linkId: link.config.id,
    state: link.state,
    since: link.since,
    lastFailure: link.lastFailure,
    ikeSas: engine.ikeSas
      .ofLink(link.config.id)
      .filter((sa) => sa.phase.kind !== "closed")
      .map((sa) => snapshotIkeSa(sa, link)),
  }));
}

function snapshotIkeSa(sa: IkeSa, link: Link): IkeSaSnapshot {
  const { phase } = sa;
  const established = phase.kind === "established" ? phase : phase.kind === "deleting" ? phase.established : null;
  const session = sessionOf(sa);
  return {
    id: sa.id,
    state: stateOf(sa),
    role: sa.role,
    spiI: sa.spiI,
    spiR: sa.spiR,
    suite: session === null ? "" : formatIkeSuite(session.suite),
    postQuantum: session !== null && isPostQuantum(session.suite),
    local: sa.local ?? { address: "0.0.0.0", port: 0 },
    remote: sa.remote,
    remoteIdentity: established?.remoteIdentity ?? describeIdentity(remoteIdentityOf(link)),
    credentialId: established?.credentialId ?? null,
    nat: session?.nat ?? "none",
    establishedAt: established?.establishedAt ?? null,
    rekeyAt: established?.rekeyAt ?? null,
    pathMtu: sa.path?.search.isKnown === true ? sa.path.search.size : null,
    children: [...childrenOf(sa).values()].map((child) => snapshotChild(sa, link, child)),
  };
}

function stateOf(sa: IkeSa): IkeSaSnapshot["state"] {
  switch (sa.phase.kind) {
    case "initSent":
    case "intermediateSent":
    case "authSent":
    case "initAnswered":
      return "connecting";
    case "established":
      return sa.phase.successor !== null || sa.window.outstanding?.task.kind === "rekeyIke" ? "rekeying" : "established";
    case "deleting":
    case "closed":
      return "deleting";
    default:
      return assertNever(sa.phase);
  }
}

function snapshotChild(sa: IkeSa, link: Link, child: ChildSa): ChildSaSnapshot {
  return {
    id: child.id,
    name: child.name,
    state: childStateOf(sa, child),
    inboundSpi: child.inbound.spi,
    outboundSpi: child.outboundSpi,
    suite: formatEspSuite(child.suite),
    protocol: child.inbound.protocol,
    mode: child.inbound.mode,
    encapsulation: child.inbound.encapsulation,
    localSelectors: child.inbound.localSelectors,
    remoteSelectors: child.inbound.remoteSelectors,
    installedAt: child.installedAt,
    rekeyAt: child.rekeyAt,
    expiresAt: Number.isFinite(child.expiresAt) ? child.expiresAt : null,
    closesAt: child.state.kind === "established" ? closesAt(link, child.name) : null,
    worker: child.isShared ? placeOf(link.policies.get(child.name), child.id) : null,
  };
}

function childStateOf(sa: IkeSa, child: ChildSa): ChildSaSnapshot["state"] {
  if (sa.phase.kind === "deleting" || child.state.kind === "deleting" || child.state.kind === "redundant") return "deleting";
  if (child.state.kind === "rekeyed") return "rekeyed";
  const task = sa.window.outstanding?.task;
  return task?.kind === "rekeyChild" && task.childSaId === child.id ? "rekeying" : "established";
}

function assertNever(value: never): never {
  throw new TypeError(`Unreachable: ${String(value)}`);
}
