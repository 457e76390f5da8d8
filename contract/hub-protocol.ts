import { z } from "zod";
import { desiredState } from "./desired-state.ts";
import { observedState, traceEntry } from "./observed-state.ts";
import { traceFile } from "./trace-file.ts";

/**
 * The messages between a hub and a gateway: JSON texts over one WebSocket inside mutual TLS 1.3. Who the gateway is comes
 * from its certificate alone. Both sides ping every 2 s and give the other up after 6 s of silence.
 */

export const hubPath = "/gateway/v1";
export const heartbeatMilliseconds = 2_000;
export const silenceMilliseconds = 6_000;
export const reportMilliseconds = 1_000;

export const command = z.discriminatedUnion("name", [
  z.strictObject({ name: z.literal("up"), linkId: z.string() }),
  z.strictObject({ name: z.literal("down"), linkId: z.string() }),
  /** Terminate and negotiate anew. */
  z.strictObject({ name: z.literal("restart"), linkId: z.string() }),
  z.strictObject({ name: z.literal("rekey"), linkId: z.string(), what: z.enum(["ike", "child", "all"]) }),
  /** Make-before-break: a new IKE SA authenticated with the credential in use now, then the old one is deleted. */
  z.strictObject({ name: z.literal("reauthenticate"), linkId: z.string() }),
  /** ICMP echoes from the probe source to the probe target: the answer is a `probeResult`. */
  z.strictObject({
    name: z.literal("probe"),
    linkId: z.string(),
    count: z.number().int().min(1).max(10_000),
    intervalMilliseconds: z.number().int().min(1).max(10_000),
    payloadBytes: z.number().int().min(0).max(1_400),
  }),
  /** `file`: as a trace file, with the octets of the messages, in place of `trace`. */
  z.strictObject({ name: z.literal("trace"), linkId: z.string(), limit: z.number().int().min(1).max(1_000), file: z.boolean().optional() }),
]);

export const probeResult = z.object({
  sent: z.number().int().min(0),
  received: z.number().int().min(0),
  roundTripMsMedian: z.number().nullable(),
  roundTripMsMax: z.number().nullable(),
});

export const fromHub = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("desired"), state: desiredState }),
  z.strictObject({ type: z.literal("command"), id: z.string(), command }),
  /** A new certificate for this gateway's own connection, in answer to `renew`. */
  z.strictObject({ type: z.literal("certificate"), certificatePem: z.string() }),
]);

export const linkVerdict = z.object({
  linkId: z.string(),
  outcome: z.enum(["applied", "refused"]),
  /** Why it was refused; null when applied. */
  reason: z.string().nullable(),
});

/** As in a report, what a newer gateway adds is left out. */
export const fromGateway = z.discriminatedUnion("type", [
  z.object({ type: z.literal("hello"), agentVersion: z.string(), hostname: z.string(), revision: z.number().int().min(0) }),
  z.object({ type: z.literal("applied"), revision: z.number().int().min(0), links: z.array(linkVerdict) }),
  z.object({ type: z.literal("report"), state: observedState }),
  z.object({ type: z.literal("trace"), entries: z.array(traceEntry).max(500) }),
  z.object({
    type: z.literal("result"),
    id: z.string(),
    ok: z.boolean(),
    /** One sentence: what was done, or why it could not be. */
    message: z.string(),
    probe: probeResult.optional(),
    trace: z.array(traceEntry).optional(),
    traceFile: traceFile.optional(),
  }),
  z.object({ type: z.literal("renew"), csrPem: z.string() }),
]);

export type Command = z.infer<typeof command>;
export type FromHub = z.infer<typeof fromHub>;
export type FromGateway = z.infer<typeof fromGateway>;
export type LinkVerdict = z.infer<typeof linkVerdict>;
export type ProbeResult = z.infer<typeof probeResult>;
