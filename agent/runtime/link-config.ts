import { hash } from "node:crypto";
import type { DesiredLink } from "../../contract/desired-state.ts";
import type { DataPlaneCapabilities } from "../dataplane/data-plane.ts";
import type { Credentials, LinkConfig } from "../ike/endpoint-types.ts";
import { parseIdentity } from "./identity-text.ts";
import { parsePrefix, type Prefix, toSelector } from "./prefix.ts";
import { decodePem, decodeSecret } from "./secret-source.ts";

/**
 * What the engine gets for a link that passed `checkState`. `remoteAddresses` are the resolved literals of the peer (empty: any
 * peer); `workers`: of the data plane, in the direction that has more. Throws an Error without secrets if the link had not passed.
 */
export function toLinkConfig(link: DesiredLink, remoteAddresses: readonly string[], forceEncapsulation: boolean, workers = 1): LinkConfig {
  const { ike, esp } = link;
  const perResourceSas = esp.perResourceSas ?? (workers > 1 ? workers : 0);
  return {
    id: link.id,
    initiate: link.initiate,
    localAddress: link.local.address ?? null,
    localIdentity: parseIdentity(link.local.identity),
    remoteAddresses,
    remotePort: link.remote.port,
    remoteIdentity: parseIdentity(link.remote.identity),
    credentials: toCredentials(link.authentication),
    ikeProposals: ike.proposals,
    espProposals: esp.proposals,
    ...(link.ah === undefined ? {} : { ahProposals: link.ah.proposals }),
    ...(ike.childless === undefined ? {} : { childless: ike.childless }),
    ikeRekeyMs: ike.rekeySeconds * 1_000,
    reauthenticateMs: ike.reauthenticateSeconds * 1_000,
    livenessMs: ike.livenessSeconds * 1_000,
    ...(ike.livenessAction === undefined ? {} : { livenessAction: ike.livenessAction }),
    ...(link.inactivitySeconds === undefined ? {} : { inactivityMs: link.inactivitySeconds * 1_000 }),
    childRekeyMs: esp.rekeySeconds * 1_000,
    ...(esp.rekeyBytes === undefined ? {} : { childRekeyBytes: esp.rekeyBytes }),
    ...(esp.rekeyPackets === undefined ? {} : { childRekeyPackets: esp.rekeyPackets }),
    replayWindowPackets: esp.replayWindowPackets,
    forceEncapsulation,
    ...(perResourceSas === 0 ? {} : { perResourceSas }),
    children: link.children.map((child) => ({
      name: child.name,
      localSelectors: child.localNetworks.map(selectorOf),
      remoteSelectors: child.remoteNetworks.map(selectorOf),
      ...(child.mode === undefined ? {} : { mode: child.mode }),
    })),
  };
}

type Abilities = Pick<DataPlaneCapabilities, "name" | "encapsulations" | "preferredEncapsulation" | "protocols" | "modes">;

/**
 * The links of which routes alone are to say what goes through them, as they do with a TUN device: one of their remote networks is everything. A policy for that would take every packet
 * from the local networks, wherever a route leads it. Where another link has remote networks of the same family it is policies all the same: they tell the two apart by local networks,
 * which routes do not look at. So it is with a peer that may have any address: no route could keep it outside of its own tunnel.
 */
export function steeredByRoutes(links: readonly DesiredLink[]): Set<string> {
  const enabled = links.filter((link) => link.enabled);
  const users = { 4: new Set<string>(), 6: new Set<string>() };
  for (const link of enabled) for (const { family } of remotePrefixes(link)) users[family].add(link.id);
  const isSteered = (link: DesiredLink) => {
    const isTunnel = link.children.every(({ mode = "tunnel" }) => mode === "tunnel");
    const prefixes = remotePrefixes(link);
    if (link.remote.address === undefined) return false;
    return isTunnel && prefixes.some(({ length }) => length === 0) && prefixes.every(({ family }) => users[family].size === 1);
  };
  return new Set(enabled.filter(isSteered).map(({ id }) => id));
}

function remotePrefixes({ children }: DesiredLink): Prefix[] {
  return children.flatMap(({ remoteNetworks }) => remoteNetworks.flatMap((network) => parsePrefix(network) ?? []));
}

/** Whether UDP encapsulation is asked for where no NAT makes it necessary: the link says so, or it is what the plane has, or is better at. */
export function forcesEncapsulation({ ah, encapsulation = "auto" }: DesiredLink, plane: Abilities): boolean {
  if (ah !== undefined) return false;
  if (encapsulation === "udp" || !plane.encapsulations.includes("none")) return true;
  return encapsulation === "auto" && plane.preferredEncapsulation === "udp";
}

/** Why this plane cannot carry the link, in a sentence; null: it can. */
export function beyondPlane({ ah, children }: DesiredLink, plane: Abilities): string | null {
  if (ah !== undefined && !plane.protocols.includes("ah")) return `the link needs AH, which the data plane ${plane.name} does not have here`;
  // Tunnel mode is no way out: it would be between the same two addresses, and a plane that routes cannot tell that from the tunnel's own packets.
  const child = children.find(({ mode = "tunnel" }) => mode !== "tunnel");
  if (child !== undefined && !plane.modes.includes("transport"))
    return `"${child.name}" asks for transport mode, which the data plane ${plane.name} does not have; it needs a machine whose kernel has ESP`;
  return null;
}

/** Equal texts mean that nothing the engine looks at has changed. A digest (SHA-256): the whole would hold secrets, and a kilobyte for each link. */
export function comparableForm(config: LinkConfig): string {
  const whole = JSON.stringify(config, (_key, value: unknown) => {
    if (typeof value === "bigint") return value.toString();
    return value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value;
  });
  return hash("sha256", whole, "base64");
}

function selectorOf(text: string) {
  const prefix = parsePrefix(text);
  if (prefix === null) throw new Error(`"${text}" is not a network`);
  return toSelector(prefix);
}

function toCredentials(auth: DesiredLink["authentication"]): Credentials {
  if (auth.method === "psk") {
    return { method: "psk", keys: auth.keys.map((key) => ({ id: key.id, secret: decodeSecret(inPlace(key.secret)) })), use: auth.use };
  }
  return {
    method: "certificate",
    certificates: auth.certificates.map((entry) => ({
      id: entry.id,
      chain: decodePem(inPlace(entry.chain), "CERTIFICATE"),
      privateKey: decodePem(inPlace(entry.privateKey), "PRIVATE KEY")[0]!,
    })),
    use: auth.use,
    trustedAuthorities: auth.trustedAuthorities.flatMap((entry) => decodePem(inPlace(entry), "CERTIFICATE")),
    revocation: auth.revocation ?? "soft",
  };
}

function inPlace(source: string | { readonly file: string }): string {
  if (typeof source === "string") return source;
  throw new Error("a secret is still in a file");
}
