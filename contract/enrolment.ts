import { z } from "zod";

/**
 * Enrolment: `POST https://HUB/enrol`. The token is `culvert1.<secret>.<SHA-256 of the console's CA certificate (DER), base64url>`:
 * the gateway accepts the hub's TLS chain only if it ends in that very CA, so the copied command is all the trust it needs.
 */
export const enrolPath = "/enrol";

export const enrolmentToken = z.string().regex(/^culvert1\.[A-Za-z0-9_-]{43}\.[A-Za-z0-9_-]{43}$/);

export const enrolRequest = z.strictObject({
  token: enrolmentToken,
  csrPem: z.string().max(8_192),
  hostname: z.string().max(253),
  agentVersion: z.string().max(64),
});

export const enrolResponse = z.strictObject({
  gatewayId: z.string(),
  siteName: z.string(),
  certificatePem: z.string(),
  caPem: z.string(),
});

export type EnrolRequest = z.infer<typeof enrolRequest>;
export type EnrolResponse = z.infer<typeof enrolResponse>;
