import { z } from "zod";
import { parsePrefix } from "./prefix.ts";

/** A list of networks as typed: each parsed, the first mistake told in a sentence. The output is canonical text. */
export const networkList = z
  .array(z.string())
  .min(1, "At least one network, such as 10.1.0.0/24.")
  .max(64, "At most 64 networks.")
  .transform((texts, context) =>
    texts.map((text) => {
      const parsed = parsePrefix(text);
      if ("error" in parsed) {
        // At the list, not at its item: the form has one field for all of them.
        context.addIssue({ code: "custom", message: parsed.error });
        return z.NEVER;
      }
      return parsed.text;
    }),
  );

const seconds = z.number().int().min(60, "At least 60 s.").max(31_536_000, "At most a year.");
/** A keyword chain; which algorithms there are is the gateway's to say, it refuses what it does not have. */
const proposal = z.string().regex(/^[a-z0-9_]+(-[a-z0-9_]+)*$/, "Write algorithms joined by hyphens, such as aes256gcm16-prfsha384-x25519.");

/** A link as it is kept, version by version. Nothing secret is in it. */
export const linkConfig = z.strictObject({
  name: z.string().trim().min(1, "Give the link a name.").max(80, "At most 80 characters."),
  enabled: z.boolean(),
  siteAId: z.uuid("Choose a site."),
  identityA: z.string().min(1).max(255),
  peer: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("site"), siteId: z.uuid("Choose a site."), identity: z.string().min(1).max(255) }),
    z.strictObject({
      kind: z.literal("third-party"),
      name: z.string().trim().min(1, "Give the peer a name.").max(80),
      address: z.string().trim().min(1, "An address or a host name.").max(253),
      identity: z.string().trim().min(1, "The identity that the peer sends.").max(255),
    }),
  ]),
  networksA: networkList,
  networksB: networkList,
  preset: z.string().min(1),
  method: z.enum(["psk", "certificate"]),
  // What a link of an earlier version does not have is as it was then.
  /** `atOnce`: brought up when it is saved and kept up. `onDemand`: when a packet wants through. */
  bringUp: z.enum(["atOnce", "onDemand"]).default("atOnce"),
  /** Whether a peer's certificate is revoked: not asked; refused when it is; refused also when that cannot be found out. */
  revocation: z.enum(["off", "soft", "strict"]).default("soft"),
  /** ESP in UDP: where the gateway finds it better, always, or only behind a NAT. */
  encapsulation: z.enum(["auto", "udp", "plain"]).default("auto"),
  /** What the tunnel carries: packets between the networks; only what the gateways say to each other; that, or tunnel mode where the peer wants it. */
  mode: z.enum(["tunnel", "transport", "preferTransport"]).default("tunnel"),
  /** Of a link on demand: what no packet has passed through for so long is closed. 0: never. */
  inactivitySeconds: z.number().int().min(0, "0 or more seconds.").max(86_400, "At most a day.").default(0),
  /** Authentication without encryption in place of ESP, whose lifetimes and replay window it has; null: ESP. */
  ah: z
    .strictObject({ proposals: z.array(proposal).min(1, "At least one proposal.").max(16) })
    .nullable()
    .default(null),
  ike: z.strictObject({
    proposals: z.array(proposal).min(1, "At least one proposal.").max(16),
    rekeySeconds: seconds,
    reauthenticateSeconds: z.union([z.literal(0), seconds]),
    livenessSeconds: z.number().int().min(0).max(3_600, "At most an hour."),
    /** When the peer gives no sign: begin anew, wait for it, or for a packet too. */
    livenessAction: z.enum(["restart", "clear", "trap"]).default("restart"),
    /** Authenticate first and make the Child SAs afterwards (RFC 6023). */
    childless: z.boolean().default(false),
  }),
  esp: z.strictObject({
    proposals: z.array(proposal).min(1, "At least one proposal.").max(16),
    rekeySeconds: seconds,
    replayWindowPackets: z.number().int().min(64, "At least 64 packets.").max(4_096, "At most 4,096 packets."),
  }),
});

export type LinkConfig = z.infer<typeof linkConfig>;
