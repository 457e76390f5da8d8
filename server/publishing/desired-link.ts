import type { z } from "zod";
import type { Authentication, link } from "../../contract/desired-state.ts";
import type { LinkConfig } from "../links/link-config.ts";
import { firstHost, parsePrefix } from "../links/prefix.ts";

export type DesiredLinkInput = z.input<typeof link>;

export interface DesiredLinkSource {
  readonly linkId: string;
  readonly config: LinkConfig;
  /** Which end's gateway it is for. "B" only when the peer is a site. */
  readonly end: "A" | "B";
  /** Where each end is reached; null: unknown, so that end must start. A third-party peer's is in the config. */
  readonly addressA: string | null;
  readonly addressB: string | null;
  readonly authentication: Authentication;
}

/** What one gateway is told of one link. Pure: the same source gives the same value, so that an unchanged link compares equal. */
export function desiredLink(source: DesiredLinkSource): DesiredLinkInput {
  const { config, end } = source;
  const addressB = config.peer.kind === "third-party" ? config.peer.address : source.addressB;
  const ours =
    end === "A"
      ? { identity: config.identityA, networks: config.networksA, address: source.addressA }
      : { identity: config.peer.identity, networks: config.networksB, address: addressB };
  const theirs =
    end === "A"
      ? { identity: config.peer.identity, networks: config.networksB, address: addressB }
      : { identity: config.identityA, networks: config.networksA, address: source.addressA };
  const probe = probeBetween(ours.networks, theirs.networks);
  const starts = initiatorOf(source.addressA, addressB) === end;
  const lifetime = (seconds: number): number => (starts || config.peer.kind === "third-party" ? seconds : laterLifetime(seconds));
  const { livenessAction, childless, ...ike } = config.ike;
  return {
    id: source.linkId,
    name: config.name,
    enabled: config.enabled,
    initiate: config.bringUp === "onDemand" ? (theirs.address === null ? "respond" : "onDemand") : starts ? "start" : "respond",
    local: { identity: ours.identity },
    remote: { identity: theirs.identity, ...(theirs.address === null ? {} : { address: theirs.address }) },
    authentication: withRevocation(source.authentication, config.revocation),
    // What is as it always was is left out: a gateway of an older version knows no word for it.
    ike: {
      ...ike,
      rekeySeconds: lifetime(ike.rekeySeconds),
      ...(livenessAction === "restart" ? {} : { livenessAction }),
      ...(childless ? { childless } : {}),
    },
    esp: { ...config.esp, rekeySeconds: lifetime(config.esp.rekeySeconds) },
    ...(config.ah === null ? {} : { ah: config.ah }),
    ...(config.encapsulation === "auto" ? {} : { encapsulation: config.encapsulation }),
    ...(config.inactivitySeconds === 0 ? {} : { inactivitySeconds: config.inactivitySeconds }),
    children: [{ name: "lan", localNetworks: ours.networks, remoteNetworks: theirs.networks, ...(config.mode === "tunnel" ? {} : { mode: config.mode }) }],
    ...(probe === null ? {} : { probe }),
  };
}

function withRevocation(authentication: Authentication, revocation: LinkConfig["revocation"]): Authentication {
  return authentication.method === "psk" || revocation === "soft" ? authentication : { ...authentication, revocation };
}

/** What the engine shortens a lifetime by at most, so that links do not rekey in step: `rekeyJitter` of a gateway. */
const MOST_SHORTENED = 0.1;
const LONGEST_SECONDS = 31_536_000;

/**
 * The lifetime of the end that waits: with the most that it can be shortened it still ends after that of the end that starts. So the two do
 * not rekey at once, and each still would alone.
 */
export function laterLifetime(seconds: number): number {
  return Math.min(LONGEST_SECONDS, Math.ceil((seconds * 1.02) / (1 - MOST_SHORTENED)));
}

/** One end starts, the other waits, so that the two do not negotiate at once: A, unless only A can be reached. */
export function initiatorOf(addressA: string | null, addressB: string | null): "A" | "B" {
  return addressB === null && addressA !== null ? "B" : "A";
}

/** Round trips are measured between the first hosts of the first networks of one family: where a gateway has its inside address. */
function probeBetween(ours: readonly string[], theirs: readonly string[]): { source: string; target: string } | null {
  for (const own of ours) {
    const local = parsePrefix(own);
    if ("error" in local) continue;
    for (const other of theirs) {
      const remote = parsePrefix(other);
      if (!("error" in remote) && remote.family === local.family) return { source: firstHost(local), target: firstHost(remote) };
    }
  }
  return null;
}
