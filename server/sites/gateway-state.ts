import { silenceMilliseconds } from "../../contract/hub-protocol.ts";

/** never: not enrolled. disconnected: enrolled, and no hub has heard it lately. */
export type GatewayState = "connected" | "disconnected" | "never" | "revoked";

export interface GatewayFacts {
  readonly enrolledAt: Date | null;
  readonly revokedAt: Date | null;
  readonly hubId: string | null;
  readonly lastHeardAt: Date | null;
}

/** A hub that was killed leaves `hubId` behind: silence counts more than what it once wrote. */
export function gatewayState(gateway: GatewayFacts, now: number): GatewayState {
  if (gateway.revokedAt !== null) return "revoked";
  if (gateway.enrolledAt === null) return "never";
  const heard = gateway.lastHeardAt !== null && now - gateway.lastHeardAt.getTime() <= silenceMilliseconds;
  return gateway.hubId !== null && heard ? "connected" : "disconnected";
}
