import { defaultEspProposals, defaultIkeProposals } from "./proposals.ts";
import { z } from "zod";

/**
 * What a gateway is told to be: the whole of it, every time, under a revision that only grows. The console compiles it
 * from Postgres and pushes it; without a console the same schema is read from `site.yaml`. Unknown keys are refused, so
 * that a misspelt option is an error and not a silent default.
 */

/** An IPv4 or IPv6 prefix such as `10.1.0.0/24`; host bits must be zero (checked by the reader, which can name the field). */
const prefix = z.union([z.cidrv4(), z.cidrv6()]);
const address = z.union([z.ipv4(), z.ipv6()]);

/** A secret given in place, or the file that holds it (a path relative to the configuration file). */
export const secretSource = z.union([z.string().min(1), z.strictObject({ file: z.string().min(1) })]);

/** One pre-shared key. `secret` is text; `0x…` is hexadecimal and `0s…` base64, as strongSwan writes them. */
const preSharedKey = z.strictObject({ id: z.string().min(1), secret: secretSource });

/**
 * How the two ends prove who they are. With several keys every one of them is accepted from the peer and `use` names
 * the one this end starts with: that is what lets a key be replaced without an interruption.
 */
export const authentication = z.discriminatedUnion("method", [
  z.strictObject({
    method: z.literal("psk"),
    keys: z.array(preSharedKey).min(1).max(4),
    use: z.string().min(1).describe("id of the key this end uses when it is the initiator"),
  }),
  z.strictObject({
    method: z.literal("certificate"),
    /** Our own certificates, newest first; `use` names the one presented. PEM; the chain follows the end-entity certificate. */
    certificates: z
      .array(z.strictObject({ id: z.string().min(1), chain: secretSource, privateKey: secretSource }))
      .min(1)
      .max(4),
    use: z.string().min(1),
    /** PEM of the authorities a peer's certificate must chain to. */
    trustedAuthorities: z.array(secretSource).min(1),
    /**
     * Whether the peer's certificate is revoked (CRL, OCSP): off, nobody is asked; soft, it is refused when it is; strict, also when that
     * cannot be found out. Absent: soft.
     */
    revocation: z.enum(["off", "soft", "strict"]).optional(),
  }),
]);

/** One Child SA: the traffic that shares keys. */
const childSa = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
  localNetworks: z.array(prefix).min(1).max(64),
  remoteNetworks: z.array(prefix).min(1).max(64),
  /**
   * `transport`: only what the two gateways say to each other, without an inner IP header; the networks are then their own addresses (/32, /128),
   * and a peer that does not agree gets no Child SA. `preferTransport`: tunnel mode with such a peer. Absent: tunnel.
   */
  mode: z.enum(["tunnel", "transport", "preferTransport"]).optional(),
});

const seconds = z.number().int().min(1).max(31_536_000);

export const link = z.strictObject({
  id: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/),
  name: z.string().min(1).max(80),
  enabled: z.boolean().default(true),
  /** `start`: bring it up now and keep it up. `respond`: wait for the peer. `onDemand`: wait for the peer or for a packet that wants through. */
  initiate: z.enum(["start", "respond", "onDemand"]).default("start"),
  /**
   * With `respond` and `onDemand`: a Child SA through which nothing has passed for so long, either way, is closed, and the IKE SA with its last
   * one; the next packet, or the peer, brings it back. Such a link is not probed by itself. Absent: nothing is closed.
   */
  inactivitySeconds: seconds.optional(),
  local: z.strictObject({
    /** The outside address to speak from; absent: whatever the route to the peer uses. */
    address: address.optional(),
    /** IKE identity: an address, a domain name, an e-mail address, or a distinguished name such as `CN=amsterdam`. */
    identity: z.string().min(1).max(255),
  }),
  remote: z.strictObject({
    /** Address or host name of the peer; absent: any (it must then be the one that starts). */
    address: z.string().min(1).max(253).optional(),
    port: z.number().int().min(1).max(65_535).default(500),
    identity: z.string().min(1).max(255),
  }),
  authentication,
  ike: z
    .strictObject({
      /** Proposal keywords as strongSwan writes them, first is preferred: `aes256gcm16-prfsha384-x25519-ke1_mlkem768`. */
      proposals: z
        .array(z.string().min(1))
        .min(1)
        .max(16)
        .default([...defaultIkeProposals]),
      rekeySeconds: seconds.default(14_400),
      /** Authenticate first and make the Child SAs afterwards, where the peer allows it (RFC 6023). Absent: no. */
      childless: z.boolean().optional(),
      /** 0: never. Otherwise the peer is authenticated anew this often, make before break. */
      reauthenticateSeconds: z.union([z.literal(0), seconds]).default(0),
      /** Idle time after which the peer is asked for a sign of life. 0: never. */
      livenessSeconds: z.union([z.literal(0), seconds]).default(10),
      /** When the peer gives no sign: begin anew (restart), wait for it or a command (clear), or for a packet too (trap). Absent: restart. */
      livenessAction: z.enum(["restart", "clear", "trap"]).optional(),
    })
    .prefault({}),
  esp: z
    .strictObject({
      proposals: z
        .array(z.string().min(1))
        .min(1)
        .max(16)
        .default([...defaultEspProposals]),
      rekeySeconds: seconds.default(3_600),
      rekeyBytes: z.number().int().min(1_048_576).optional(),
      rekeyPackets: z.number().int().min(1_000).optional(),
      replayWindowPackets: z.number().int().min(64).max(4_096).default(1_024),
      /**
       * Child SAs of the same networks beside the first, each for one worker of the data plane, where the peer takes them (RFC 9611). 0: none.
       * Absent: one for each of the gateway's outbound workers if it has several, else none.
       */
      perResourceSas: z.number().int().min(0).max(16).optional(),
    })
    .prefault({}),
  /** AH (RFC 4302) in place of ESP: authenticates every packet and encrypts none. Lifetimes are those of `esp`. It cannot pass a NAT. */
  ah: z.strictObject({ proposals: z.array(z.string().min(1)).min(1).max(16) }).optional(),
  /**
   * ESP where no NAT is in between. `udp`: in UDP all the same. `plain`: as it is (IP protocol 50). `auto`: what is faster with the data plane: in
   * UDP with the TUN device, plain in the kernel. Behind a NAT it is always in UDP. Absent: auto.
   */
  encapsulation: z.enum(["auto", "udp", "plain"]).optional(),
  children: z.array(childSa).min(1).max(64),
  /** Two inside addresses to measure round trips between; absent: the link is not probed. */
  probe: z.strictObject({ source: address, target: address }).optional(),
  /** Seconds between probes. */
  probeSeconds: z.number().min(0.2).max(3_600).default(2),
});

export const desiredState = z.strictObject({
  schema: z.literal(1),
  revision: z.number().int().min(0),
  gateway: z.strictObject({
    name: z.string().min(1).max(80),
    ikePort: z.number().int().min(1).max(65_535).default(500),
    natPort: z.number().int().min(1).max(65_535).default(4_500),
    /** What protects packets: the kernel where it has ESP, else this program behind a TUN device (auto, also when absent), or always one of the two. */
    dataPlane: z.enum(["auto", "tun", "kernel"]).optional(),
    /**
     * With a TUN device: threads that protect what goes out, each of which takes the flows of a queue of the device (Linux puts every packet of a flow
     * into the same). Absent: one.
     */
    outboundWorkers: z.number().int().min(1).max(16).optional(),
    /** With a TUN device: threads that open what comes in, each those SAs whose SPIs say so. Absent: one. */
    inboundWorkers: z.number().int().min(1).max(16).optional(),
    /**
     * With the kernel's ESP: network cards are asked to seal and open packets of SAs that do not go in UDP; what one refuses the kernel does. Never tried on a card. Absent: no.
     */
    espOffload: z.boolean().optional(),
    /** Name and MTU of the TUN device; 0: computed from the path (1,500 less the largest encapsulation in use). */
    tunName: z
      .string()
      .regex(/^[a-z][a-z0-9]{0,14}$/)
      .default("culvert0"),
    tunMtu: z.union([z.literal(0), z.number().int().min(1_280).max(9_000)]).default(0),
  }),
  links: z.array(link).max(10_000),
  /**
   * PEM of revocation lists (RFC 5280 §5) of authorities that links trust: used as lists that were fetched are, and there when their authority
   * cannot be reached. Absent: none.
   */
  revocationLists: z.array(secretSource).max(64).optional(),
});

export type DesiredState = z.infer<typeof desiredState>;
/** What an author may write: defaults left out. */
export type DesiredStateInput = z.input<typeof desiredState>;
export type DesiredLink = z.infer<typeof link>;
export type Authentication = z.infer<typeof authentication>;

/** The same state once every `{ file }` has been read: secrets are in place and nothing is left to resolve. */
export type SecretSource = z.infer<typeof secretSource>;
