import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import type { DesiredLink, DesiredState } from "../../contract/desired-state.ts";
import { CryptoError } from "../crypto/crypto-error.ts";
import { toWireIdentity } from "../ike/negotiation/identity.ts";
import { type ConfigPath, type ConfigProblem, errorAt } from "./config-problem.ts";
import { parseIdentity } from "./identity-text.ts";
import { contains, formatPrefix, overlaps, parsePrefix, type Prefix } from "./prefix.ts";
import { proposalProblem } from "./proposal-check.ts";
import { decodePem, decodeSecret } from "./secret-source.ts";

/**
 * What the schema cannot say: ids that repeat, networks that overlap, keys that are not there. Secrets must be in place; one
 * equal to `unreadable` is skipped. The problems' paths begin with `links`, so a caller can tell which link each is about.
 */
export function checkState(state: DesiredState, unreadable: string | null = null): ConfigProblem[] {
  const problems = state.links.flatMap((link, index) => checkLink(link, ["links", index], unreadable));
  return [...problems, ...checkPorts(state), ...checkIds(state.links), ...checkOverlaps(state.links), ...checkLists(state, unreadable)];
}

function checkLists({ revocationLists = [] }: DesiredState, unreadable: string | null): ConfigProblem[] {
  return revocationLists.flatMap((list, index) => checkSecret(list, unreadable, ["revocationLists", index], (text) => decodePem(text, "X509 CRL")));
}

function checkPorts(state: DesiredState): ConfigProblem[] {
  if (state.gateway.ikePort !== state.gateway.natPort) return [];
  return [errorAt(["gateway", "natPort"], "natPort equals ikePort", "use two ports: IKE moves to natPort once a NAT is seen (500 and 4500 by default)")];
}

function checkIds(links: readonly DesiredLink[]): ConfigProblem[] {
  const seen = new Set<string>();
  return links.flatMap((link, index) => {
    if (!seen.has(link.id)) {
      seen.add(link.id);
      return [];
    }
    return [errorAt(["links", index, "id"], `the id "${link.id}" is used by an earlier link`, "give every link an id of its own")];
  });
}

function checkLink(link: DesiredLink, at: ConfigPath, unreadable: string | null): ConfigProblem[] {
  return [
    ...checkPeer(link, at),
    ...checkIdentity(link.local.identity, [...at, "local", "identity"]),
    ...checkIdentity(link.remote.identity, [...at, "remote", "identity"]),
    ...checkAuthentication(link, at, unreadable),
    ...checkProposals(link.ike.proposals, "ike", [...at, "ike", "proposals"]),
    ...checkProposals(link.esp.proposals, "esp", [...at, "esp", "proposals"]),
    ...checkProposals(link.ah?.proposals ?? [], "ah", [...at, "ah", "proposals"]),
    ...checkInactivity(link, at),
    ...checkChildren(link, at),
    ...checkEncapsulation(link, at),
  ];
}

function checkPeer(link: DesiredLink, at: ConfigPath): ConfigProblem[] {
  if (link.initiate === "respond" || link.remote.address !== undefined) return [];
  return [errorAt([...at, "remote", "address"], "the link is to be started but the peer's address is missing", "add remote.address, or set initiate: respond")];
}

function checkInactivity(link: DesiredLink, at: ConfigPath): ConfigProblem[] {
  if (link.inactivitySeconds === undefined || link.initiate !== "start") return [];
  const why = "the link is kept up, so nothing of it can be closed for being unused";
  return [errorAt([...at, "inactivitySeconds"], why, "set initiate: onDemand or respond, or leave inactivitySeconds out")];
}

/** Names that look like distinguished ones can be none, which the engine would find out too late to say where. */
function checkIdentity(text: string, at: ConfigPath): ConfigProblem[] {
  try {
    toWireIdentity(parseIdentity(text));
    return [];
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    return [errorAt(at, error.message, "correct the name")];
  }
}

function checkAuthentication(link: DesiredLink, at: ConfigPath, unreadable: string | null): ConfigProblem[] {
  const auth = link.authentication;
  const base = [...at, "authentication"];
  const entries: readonly { readonly id: string }[] = auth.method === "psk" ? auth.keys : auth.certificates;
  const list = auth.method === "psk" ? "keys" : "certificates";
  const problems: ConfigProblem[] = [];
  if (!entries.some((entry) => entry.id === auth.use)) {
    problems.push(errorAt([...base, "use"], `"${auth.use}" names none of the ${list}`, `use one of: ${entries.map((entry) => entry.id).join(", ")}`));
  }
  for (const [index, entry] of entries.entries()) {
    if (entries.findIndex((other) => other.id === entry.id) < index)
      problems.push(errorAt([...base, list, index, "id"], `the id "${entry.id}" is used twice`, "give every key an id of its own"));
  }
  if (auth.method === "psk") {
    for (const [index, key] of auth.keys.entries()) problems.push(...checkSecret(key.secret, unreadable, [...base, "keys", index, "secret"], decodeSecret));
    return problems;
  }
  for (const [index, entry] of auth.certificates.entries()) {
    problems.push(...checkSecret(entry.chain, unreadable, [...base, "certificates", index, "chain"], readCertificates));
    const keyPath = [...base, "certificates", index, "privateKey"];
    problems.push(...checkSecret(entry.privateKey, unreadable, keyPath, (text) => checkKeyPair(text, entry.chain, unreadable)));
  }
  for (const [index, authority] of auth.trustedAuthorities.entries())
    problems.push(...checkSecret(authority, unreadable, [...base, "trustedAuthorities", index], readCertificates));
  return problems;
}

/** Runs `read` on the secret and turns what it throws into a problem. The thrown message must not quote the secret. */
function checkSecret(source: DesiredSecret, unreadable: string | null, at: ConfigPath, read: (text: string) => unknown): ConfigProblem[] {
  if (source === unreadable) return [];
  if (typeof source !== "string") return [errorAt(at, "the secret is still in a file", "the console must send secrets in place")];
  try {
    read(source);
    return [];
  } catch (error) {
    return [errorAt(at, error instanceof Error ? error.message : String(error), "correct the secret")];
  }
}

type DesiredSecret = string | { readonly file: string };

function readCertificates(text: string): X509Certificate[] {
  return decodePem(text, "CERTIFICATE").map((der) => {
    try {
      return new X509Certificate(der);
    } catch {
      throw new Error("the PEM block is not a certificate");
    }
  });
}

function checkKeyPair(keyText: string, chain: DesiredSecret, unreadable: string | null): void {
  decodePem(keyText, "PRIVATE KEY");
  let publicKey: string;
  try {
    publicKey = createPublicKey(createPrivateKey(keyText)).export({ type: "spki", format: "der" }).toString("base64");
  } catch {
    throw new Error("the private key cannot be read (it must be unencrypted PKCS#8)");
  }
  if (typeof chain !== "string" || chain === unreadable) return;
  const certificate = readCertificates(chain)[0]!;
  if (certificate.publicKey.export({ type: "spki", format: "der" }).toString("base64") !== publicKey) {
    throw new Error("the private key does not belong to the first certificate of the chain");
  }
}

function checkProposals(proposals: readonly string[], protocol: "ike" | "esp" | "ah", at: ConfigPath): ConfigProblem[] {
  return proposals.flatMap((text, index) => {
    const problem = proposalProblem(text, protocol);
    return problem === null
      ? []
      : [errorAt([...at, index], problem, "write proposal keywords such as aes256gcm16-prfsha384-x25519 (IKE), aes256gcm16 (ESP) or sha256 (AH)")];
  });
}

function checkChildren(link: DesiredLink, at: ConfigPath): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const [index, child] of link.children.entries()) {
    const base = [...at, "children", index];
    if (link.children.findIndex((other) => other.name === child.name) < index)
      problems.push(errorAt([...base, "name"], `the name "${child.name}" is used twice`, "give every child a name of its own"));
    for (const side of ["localNetworks", "remoteNetworks"] as const) {
      for (const [at, text] of child[side].entries()) {
        const prefix = parsePrefix(text);
        if (prefix === null) problems.push(errorAt([...base, side, at], "this is not a network", "write a prefix such as 10.1.0.0/24"));
        else if (!prefix.isCanonical) problems.push(errorAt([...base, side, at], `${text} has host bits set`, `write ${formatPrefix(prefix)}`));
      }
    }
    problems.push(...checkHosts(child, base));
    problems.push(...checkOwnNetworks(child.localNetworks, child.remoteNetworks, base));
  }
  return problems;
}

/** Transport mode is between two hosts (RFC 4301 §4.1), the gateways themselves. */
function checkHosts(child: DesiredLink["children"][number], at: ConfigPath): ConfigProblem[] {
  if (child.mode === undefined || child.mode === "tunnel") return [];
  return (["localNetworks", "remoteNetworks"] as const).flatMap((side) =>
    child[side].flatMap((text, index) => {
      const prefix = parsePrefix(text);
      if (prefix === null || prefix.length === (prefix.family === 4 ? 32 : 128)) return [];
      return [
        errorAt([...at, side, index], `${text} is a network, but transport mode is between two hosts`, "write the address of the gateway, or use mode: tunnel"),
      ];
    }),
  );
}

function checkEncapsulation({ ah, encapsulation }: DesiredLink, at: ConfigPath): ConfigProblem[] {
  if (ah === undefined || encapsulation !== "udp") return [];
  return [errorAt([...at, "encapsulation"], "AH does not go in UDP", "leave encapsulation out, or use ESP")];
}

/** A remote network inside a local one would take local traffic into the tunnel. 0.0.0.0/0 over a local network is fine. */
function checkOwnNetworks(local: readonly string[], remote: readonly string[], at: ConfigPath): ConfigProblem[] {
  return remote.flatMap((text, index) => {
    const inner = parsePrefix(text);
    const outer = local.find((candidate) => {
      const prefix = parsePrefix(candidate);
      // Both 0/0 is the route-based case: routes, not selectors, say what goes through.
      return prefix !== null && inner !== null && prefix.length > 0 && contains(prefix, inner);
    });
    return outer === undefined
      ? []
      : [errorAt([...at, "remoteNetworks", index], `${text} lies in the local network ${outer}`, "the two sites need different networks")];
  });
}

interface ClaimedNetwork {
  readonly linkIndex: number;
  readonly linkId: string;
  readonly local: readonly Prefix[];
  readonly prefix: Prefix;
  readonly text: string;
  readonly path: ConfigPath;
}

/**
 * Two enabled links that claim the same traffic: no rule says which one gets it, so the later is at fault. Networks are taken by
 * their first address and compared only with those that have not ended before: thousands of links take milliseconds.
 */
function checkOverlaps(links: readonly DesiredLink[]): ConfigProblem[] {
  const claims = links.flatMap((link, index) => (link.enabled ? claimsOf(link, index) : []));
  claims.sort((a, b) => a.prefix.family - b.prefix.family || (a.prefix.start < b.prefix.start ? -1 : a.prefix.start > b.prefix.start ? 1 : 0));
  const problems = new Map<ClaimedNetwork, ConfigProblem>();
  let open: ClaimedNetwork[] = [];
  for (const claim of claims) {
    open = open.filter((other) => overlaps(other.prefix, claim.prefix));
    for (const other of open) {
      if (other.linkIndex === claim.linkIndex || !claim.local.some((a) => other.local.some((b) => overlaps(a, b)))) continue;
      const [earlier, later] = other.linkIndex < claim.linkIndex ? [other, claim] : [claim, other];
      problems.set(later, errorAt(later.path, `${later.text} overlaps ${earlier.text} of link "${earlier.linkId}"`, "give each link networks of its own"));
    }
    open.push(claim);
  }
  return [...problems.values()];
}

function claimsOf(link: DesiredLink, linkIndex: number): ClaimedNetwork[] {
  const local = link.children.flatMap((child) => child.localNetworks.flatMap((text) => parsePrefix(text) ?? []));
  return link.children.flatMap((child, childIndex) =>
    child.remoteNetworks.flatMap((text, index) => {
      const prefix = parsePrefix(text);
      if (prefix === null) return [];
      return [{ linkIndex, linkId: link.id, local, prefix, text, path: ["links", linkIndex, "children", childIndex, "remoteNetworks", index] }];
    }),
  );
}
