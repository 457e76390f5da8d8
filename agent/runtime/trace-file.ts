import { traceFile, type TracedEntry, type TracedLink, type TraceFile } from "../../contract/trace-file.ts";
import { CryptoError } from "../crypto/crypto-error.ts";
import type { Credentials, Identity, LinkConfig, TraceRecord } from "../ike/endpoint-types.ts";
import { toWireIdentity } from "../ike/negotiation/identity.ts";
import { childProposals } from "../ike/negotiation/child-proposals.ts";
import { parseProposal } from "../ike/negotiation/proposal-keywords.ts";
import { formatSelector, parseSelector } from "../ipsec/traffic-selector.ts";
import { parseIdentity } from "./identity-text.ts";

/** The octets of all messages together, as text: older messages lose theirs first. */
const MOST_OCTET_TEXT = 1_000_000;
const MOST_ENTRIES = 1_000;

export interface TraceFileParts {
  readonly gateway: string;
  readonly agentVersion: string;
  readonly exportedAt: number;
  readonly config: LinkConfig;
  /** Oldest first. */
  readonly entries: readonly TracedEntry[];
}

/** What `culvert-agent trace LINK --json` writes. Keys and private keys stay behind: of a credential only its name is in it. */
export function buildTraceFile({ gateway, agentVersion, exportedAt, config, entries }: TraceFileParts): TraceFile {
  return {
    format: "culvert-trace",
    version: 1,
    gateway,
    agentVersion,
    exportedAt: Math.floor(exportedAt),
    link: tracedLinkOf(config),
    entries: bounded(entries.slice(-MOST_ENTRIES)),
  };
}

/** What `culvert-agent replay` works on. */
export interface ReadTrace {
  readonly file: TraceFile;
  /** The link as it was, with empty secrets. */
  readonly config: LinkConfig;
  readonly records: readonly TraceRecord[];
}

/** Reads a trace file. Throws RangeError with a sentence for what is none, or of a version that is not known here. */
export function readTraceFile(text: string): ReadTrace {
  const parsed = traceFile.safeParse(jsonOf(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue === undefined || issue.path.length === 0 ? "" : ` at ${issue.path.join(".")}`;
    throw new RangeError(`this is not a trace of culvert-agent trace LINK --json (version 1)${where}`);
  }
  return { file: parsed.data, config: checkedConfig(parsed.data.link), records: parsed.data.entries.map(recordOf) };
}

/** What the engine would refuse as a configuration is refused here: a file can be edited. */
function checkedConfig(link: TracedLink): LinkConfig {
  const config = linkConfigOf(link);
  try {
    toWireIdentity(config.localIdentity);
    toWireIdentity(config.remoteIdentity);
  } catch (error) {
    if (error instanceof CryptoError) throw new RangeError(`an identity of the link is no name: ${error.message}`);
    throw error;
  }
  for (const text of config.ikeProposals) parseProposal(text, "ike");
  childProposals(config);
  return config;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new RangeError("the file is not JSON");
  }
}

function recordOf({ wire, ...entry }: TracedEntry): TraceRecord {
  return wire === undefined ? entry : { ...entry, wire };
}

function bounded(entries: readonly TracedEntry[]): TracedEntry[] {
  let left = MOST_OCTET_TEXT;
  return entries
    .toReversed()
    .map(({ wire, ...entry }) => {
      left -= wire?.octets.length ?? 0;
      return wire === undefined || left < 0 ? entry : { ...entry, wire };
    })
    .toReversed();
}

function tracedLinkOf(config: LinkConfig): TracedLink {
  const { id, initiate, localAddress, remotePort, ikeRekeyMs, childRekeyMs } = config;
  return {
    id,
    initiate,
    localAddress,
    localIdentity: identityText(config.localIdentity),
    remoteAddresses: [...config.remoteAddresses],
    remotePort,
    remoteIdentity: identityText(config.remoteIdentity),
    authentication: authenticationOf(config.credentials),
    ikeProposals: [...config.ikeProposals],
    espProposals: [...config.espProposals],
    ...(config.ahProposals === undefined ? {} : { ahProposals: [...config.ahProposals] }),
    ikeRekeyMs,
    childRekeyMs,
    children: config.children.map((child) => ({
      name: child.name,
      localSelectors: child.localSelectors.map(formatSelector),
      remoteSelectors: child.remoteSelectors.map(formatSelector),
      ...(child.mode === undefined ? {} : { mode: child.mode }),
    })),
  };
}

function authenticationOf(credentials: Credentials): TracedLink["authentication"] {
  if (credentials.method === "psk") return { method: "psk", keys: credentials.keys.map((key) => key.id), use: credentials.use };
  return {
    method: "certificate",
    certificates: credentials.certificates.map((one) => ({ id: one.id, chain: one.chain.map(base64) })),
    use: credentials.use,
    trustedAuthorities: credentials.trustedAuthorities.map(base64),
  };
}

function linkConfigOf(link: TracedLink): LinkConfig {
  const selectors = (texts: readonly string[]) => texts.map(parseSelector);
  return {
    id: link.id,
    initiate: link.initiate,
    localAddress: link.localAddress,
    localIdentity: parseIdentity(link.localIdentity),
    remoteAddresses: link.remoteAddresses,
    remotePort: link.remotePort,
    remoteIdentity: parseIdentity(link.remoteIdentity),
    credentials: credentialsOf(link.authentication),
    ikeProposals: link.ikeProposals,
    espProposals: link.espProposals,
    ...(link.ahProposals === undefined ? {} : { ahProposals: link.ahProposals }),
    ikeRekeyMs: link.ikeRekeyMs,
    reauthenticateMs: 0,
    livenessMs: 0,
    childRekeyMs: link.childRekeyMs,
    replayWindowPackets: 0,
    forceEncapsulation: false,
    children: link.children.map((child) => ({
      name: child.name,
      localSelectors: selectors(child.localSelectors),
      remoteSelectors: selectors(child.remoteSelectors),
      ...(child.mode === undefined ? {} : { mode: child.mode }),
    })),
  };
}

const NO_SECRET = new Uint8Array(0);

function credentialsOf(authentication: TracedLink["authentication"]): Credentials {
  if (authentication.method === "psk") return { method: "psk", keys: authentication.keys.map((id) => ({ id, secret: NO_SECRET })), use: authentication.use };
  return {
    method: "certificate",
    certificates: authentication.certificates.map((one) => ({ id: one.id, chain: one.chain.map(octets), privateKey: NO_SECRET })),
    use: authentication.use,
    trustedAuthorities: authentication.trustedAuthorities.map(octets),
  };
}

/** What `parseIdentity` reads as this identity. */
function identityText(identity: Identity): string {
  switch (identity.kind) {
    case "ipv4":
    case "ipv6":
      return identity.address;
    case "fqdn":
      return parseIdentity(identity.name).kind === "fqdn" && !identity.name.startsWith("@") ? identity.name : `@${identity.name}`;
    case "email":
    case "dn":
      return identity.name;
    default:
      return assertNever(identity);
  }
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

function octets(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "base64"));
}

function assertNever(value: never): never {
  throw new Error(`Unexpected ${JSON.stringify(value)}`);
}
