import { createHash, X509Certificate } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";
import { database } from "../db/client.ts";
import { certificateFingerprint } from "../keys/fingerprint.ts";

export interface Admitted {
  readonly gatewayId: string;
  readonly gatewayName: string;
  readonly certificateId: string;
}

/**
 * Who is at the other end, by its client certificate alone: TLS has checked the chain to our authority, the database says whose it is
 * and that neither it nor its gateway is revoked. Null: not admitted.
 */
export async function admitGateway(request: IncomingMessage): Promise<Admitted | null> {
  const { socket } = request;
  if (!(socket instanceof TLSSocket) || !socket.authorized) return null;
  const { raw } = socket.getPeerCertificate();
  if (raw === undefined) return null;
  const row = await database().gatewayCertificate.findUnique({
    where: { fingerprint: certificateFingerprint(new X509Certificate(raw).toString()) },
    include: { gateway: { include: { site: true } } },
  });
  if (row === null || row.revokedAt !== null || row.gateway.revokedAt !== null) return null;
  return { gatewayId: row.gatewayId, gatewayName: row.gateway.site.name, certificateId: row.id };
}

/** For logs: which certificate knocked, without its content. */
export function knocker(request: IncomingMessage): string {
  const { socket } = request;
  if (!(socket instanceof TLSSocket)) return "a connection without TLS";
  const { raw } = socket.getPeerCertificate();
  if (raw === undefined) return "a client without a certificate";
  return `the certificate ${createHash("sha256").update(raw).digest("hex").slice(0, 16)}`;
}
