import { z } from "zod";
import { traceEntry } from "./observed-state.ts";

/**
 * A negotiation as one end saw it, to be looked at elsewhere: `culvert-agent trace LINK --json` writes it, `culvert-agent replay`
 * reads it. Redacted where it was made: no key, no secret, no nonce. Certificates are in it, which are public.
 */

/** The payloads of a message: hexadecimal, `(12)` for 12 octets that were cut out. */
export const tracedOctets = z.strictObject({
  firstPayload: z.number().int().min(0).max(255),
  octets: z.string().max(16_384),
});

const certificate = z.base64().max(65_536);

/** How this end was set up, with its credentials by name. Identities and networks as in the desired state. */
export const tracedLink = z.strictObject({
  id: z.string(),
  initiate: z.enum(["start", "respond", "onDemand"]),
  localAddress: z.string().nullable(),
  localIdentity: z.string(),
  remoteAddresses: z.array(z.string()).max(64),
  remotePort: z.number().int(),
  remoteIdentity: z.string(),
  authentication: z.discriminatedUnion("method", [
    z.strictObject({ method: z.literal("psk"), keys: z.array(z.string()).max(16), use: z.string() }),
    z.strictObject({
      method: z.literal("certificate"),
      /** Own certificates in DER, without their keys. */
      certificates: z.array(z.strictObject({ id: z.string(), chain: z.array(certificate).max(16) })).max(16),
      use: z.string(),
      trustedAuthorities: z.array(certificate).max(64),
    }),
  ]),
  ikeProposals: z.array(z.string()).max(16),
  espProposals: z.array(z.string()).max(16),
  ahProposals: z.array(z.string()).max(16).optional(),
  ikeRekeyMs: z.number(),
  childRekeyMs: z.number(),
  children: z
    .array(
      z.strictObject({
        name: z.string(),
        localSelectors: z.array(z.string()),
        remoteSelectors: z.array(z.string()),
        mode: z.enum(["tunnel", "transport", "preferTransport"]).optional(),
      }),
    )
    .max(64),
});

export const tracedEntry = traceEntry.extend({ wire: tracedOctets.optional() });

export const traceFile = z.strictObject({
  format: z.literal("culvert-trace"),
  version: z.literal(1),
  gateway: z.string(),
  agentVersion: z.string(),
  /** Milliseconds since 1970. */
  exportedAt: z.number().int(),
  link: tracedLink,
  /** Oldest first. */
  entries: z.array(tracedEntry).max(1_000),
});

export type TraceFile = z.infer<typeof traceFile>;
export type TracedEntry = z.infer<typeof tracedEntry>;
export type TracedLink = z.infer<typeof tracedLink>;
