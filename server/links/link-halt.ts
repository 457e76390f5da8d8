/** What keeps a link down that this console knows of without asking its gateways. */
export interface LinkHalt {
  /** One sentence for people: what was taken back, who refuses it, what brings the tunnel back. */
  readonly sentence: string;
  /** The certificate whose end can be given a new one from here; null: none. */
  readonly credentialId: string | null;
  /** The site whose gateway must be enrolled again; null: none. */
  readonly enrol: { readonly siteId: string; readonly siteName: string } | null;
}

/** What a link must be read with. */
export const withHaltSource = {
  siteA: { include: { gateway: true } },
  siteB: { include: { gateway: true } },
  credentials: { where: { state: "active" }, select: { id: true, end: true, revokedAt: true } },
} as const;

interface HaltSource {
  readonly siteA: HaltEnd;
  /** null: a third-party peer. */
  readonly siteB: HaltEnd | null;
  readonly peerName: string;
  readonly method: "psk" | "certificate";
  /** Those in use. */
  readonly credentials: readonly { readonly id: string; readonly end: string | null; readonly revokedAt: Date | null }[];
}

interface HaltEnd {
  readonly id: string;
  readonly name: string;
  readonly gateway: { readonly revokedAt: Date | null } | null;
}

/** null: nothing was revoked that the link needs. */
export function linkHalt({ siteA, siteB, peerName, method, credentials }: HaltSource): LinkHalt | null {
  for (const [end, own, peer] of [["A", siteA, siteB] as const, ["B", siteB, siteA] as const]) {
    if (own === null) continue;
    const revoked = credentials.find((credential) => credential.end === end && credential.revokedAt !== null);
    if (own.gateway?.revokedAt != null)
      return {
        sentence: gatewayRevoked(own.name, peer === null ? null : peer.name, peerName, method),
        credentialId: null,
        enrol: { siteId: own.id, siteName: own.name },
      };
    if (revoked !== undefined)
      return {
        sentence: `The certificate of ${own.name} was revoked and ${peer?.name ?? peerName} refuses it: the tunnel stays down until a new one is issued.`,
        credentialId: revoked.id,
        enrol: null,
      };
  }
  return null;
}

function gatewayRevoked(own: string, peer: string | null, peerName: string, method: "psk" | "certificate"): string {
  if (peer === null) return `The gateway of ${own} was revoked, and ${peerName} cannot be told from here: have its key or certificate refused there.`;
  const what = method === "psk" ? "does not accept its pre-shared key any more" : "refuses its certificate";
  return `The gateway of ${own} was revoked and ${peer} ${what}: the tunnel stays down until ${own} is enrolled again.`;
}
