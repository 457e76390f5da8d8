import { z } from "zod";

/**
 * What a gateway says of itself. What one of a newer version says beside it is left out, not refused. Counters are totals since the SA was installed; a 64-bit
 * total is a JSON number below 2^53.
 */

const count = z.number().int().min(0);
/** Milliseconds since 1970, the gateway's clock. */
const instant = z.number().int().min(0);
const spi = z.string().regex(/^[0-9a-f]{8}$/);

export const dropCounters = z.object({
  replay: count,
  integrity: count,
  noSa: count,
  policy: count,
  tooBig: count,
  lifetime: count,
  malformed: count,
  // A gateway of the version before these does not send them.
  congestion: count.default(0),
  unsent: count.default(0),
});

export const observedChildSa = z.object({
  name: z.string(),
  state: z.enum(["installing", "established", "rekeying", "rekeyed", "deleting"]),
  inboundSpi: spi,
  outboundSpi: spi,
  /** The suite in proposal keywords, e.g. `aes256gcm16-x25519`. */
  suite: z.string(),
  // A gateway of the version before these does not send them.
  protocol: z.enum(["esp", "ah"]).default("esp"),
  mode: z.enum(["tunnel", "transport"]).default("tunnel"),
  encapsulation: z.enum(["udp", "none"]),
  localNetworks: z.array(z.string()),
  remoteNetworks: z.array(z.string()),
  installedAt: instant,
  rekeyAt: instant.nullable(),
  expiresAt: instant.nullable(),
  /** When it is closed unless a packet passes; null: never. */
  closesAt: instant.nullable().default(null),
  /** Of several for the same networks: 0, every worker may send on it; n, the n-th does. Absent: there are not several, or none sends on it. */
  worker: count.optional(),
  bytesIn: count,
  bytesOut: count,
  packetsIn: count,
  packetsOut: count,
  drops: dropCounters,
});

export const observedIkeSa = z.object({
  state: z.enum(["connecting", "established", "rekeying", "deleting"]),
  role: z.enum(["initiator", "responder"]),
  /** 16 hexadecimal digits each. */
  spiI: z.string().regex(/^[0-9a-f]{16}$/),
  spiR: z.string().regex(/^[0-9a-f]{16}$/),
  suite: z.string(),
  /** Its keys also stem from ML-KEM; without it they are classical, and a quantum computer could open recorded traffic. */
  postQuantum: z.boolean().default(false),
  localEndpoint: z.string(),
  remoteEndpoint: z.string(),
  remoteIdentity: z.string(),
  /** Id of the pre-shared key or certificate that authenticated it. */
  credentialId: z.string().nullable(),
  nat: z.enum(["none", "local", "remote", "both"]),
  establishedAt: instant.nullable(),
  rekeyAt: instant.nullable(),
  /** The largest packet, in octets, that has been found to pass to the peer; null: not known, as of a gateway that does not look. */
  pathMtu: z.number().int().nullable().optional(),
  childSas: z.array(observedChildSa),
});

/** Why something failed, in one plain sentence, with the protocol's own name for those who want to look it up. */
export const failure = z.object({
  at: instant,
  code: z.string(),
  sentence: z.string(),
});

export const tunnelState = z.enum(["disabled", "negotiating", "up", "degraded", "down"]);

export const observedLink = z.object({
  id: z.string(),
  state: tunnelState,
  since: instant,
  /** Of the kernel's data plane: the link's own interface, into which routes lead. Absent: it has none. */
  interface: z.string().optional(),
  ikeSas: z.array(observedIkeSa),
  lastFailure: failure.nullable(),
  /** The last probe's round trip in milliseconds; null: none answered or none sent. */
  roundTripMs: z.number().min(0).nullable(),
  probesSent: count,
  probesAnswered: count,
});

export const observedState = z.object({
  at: instant,
  revision: count,
  agentVersion: z.string(),
  startedAt: instant,
  plane: z.string(),
  planeReason: z.string(),
  /** Processors that the gateway may use. Absent: a gateway of the version before does not say. */
  processors: count.optional(),
  /** Threads that open what comes in and seal what goes out, with a TUN device. Absent: the kernel protects packets, or there is no plane. */
  workers: z.object({ inbound: count, outbound: count }).optional(),
  /** Why the gateway settings that are wanted cannot be had; those of before are in force. Absent: they can. */
  settingsRefusal: z.string().optional(),
  links: z.array(observedLink),
  /** Datagrams that no SA could be charged with. */
  drops: dropCounters,
  memoryBytes: count,
});

/** One step of a negotiation: a message decoded, or a choice made and why. Values are redacted before they get here. */
export const traceEntry = z.object({
  at: instant,
  linkId: z.string().nullable(),
  sequence: count,
  direction: z.enum(["sent", "received", "local"]),
  exchange: z.string(),
  messageId: z.number().int().nullable(),
  /** One line for people. */
  summary: z.string(),
  /** The decoded payloads or the inputs of the choice. */
  detail: z.record(z.string(), z.unknown()),
});

export type DropCounters = z.infer<typeof dropCounters>;
export type ObservedChildSa = z.infer<typeof observedChildSa>;
export type ObservedIkeSa = z.infer<typeof observedIkeSa>;
export type ObservedLink = z.infer<typeof observedLink>;
export type ObservedState = z.infer<typeof observedState>;
export type Failure = z.infer<typeof failure>;
export type TunnelState = z.infer<typeof tunnelState>;
export type TraceEntry = z.infer<typeof traceEntry>;
