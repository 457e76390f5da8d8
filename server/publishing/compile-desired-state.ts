import { z } from "zod";
import { type DesiredLink, desiredState, type DesiredState, link as linkSchema } from "../../contract/desired-state.ts";
import { database, type Transaction } from "../db/client.ts";
import { linkConfig } from "../links/link-config.ts";
import { revocationLists } from "../keys/revocation-list.ts";
import { acceptedCredentials, authenticationFrom, type CredentialWithSecret, NoCredential } from "./authentication.ts";
import { desiredLink } from "./desired-link.ts";

export interface CompiledState {
  readonly state: DesiredState;
  /** Links whose rows make no sense, each with the reason: the others are not held up by them. */
  readonly refused: readonly { readonly linkId: string; readonly reason: string }[];
}

/**
 * The whole of what a gateway is told, with secrets in clear: for its own connection alone. All of it is read from one snapshot.
 * Anything that could go better next time (the database, the master key) throws: a state that lacks a link takes its tunnel down.
 */
export async function compileDesiredState(gatewayId: string): Promise<CompiledState> {
  const { gateway, links, authorityRows } = await database().$transaction((tx) => readRows(tx, gatewayId), { isolationLevel: "RepeatableRead" });
  const authorities = authorityRows.map((row) => row.certificatePem);
  const compiled: DesiredLink[] = [];
  const refused: { linkId: string; reason: string }[] = [];
  for (const link of links) {
    const end = link.siteAId === gateway.siteId ? "A" : "B";
    const peer = end === "A" ? link.siteB : link.siteA;
    try {
      refuseKeyOfRevoked(link.credentials, peer);
      const authentication = authenticationFrom(link.credentials, end, authorities);
      const [addressA, addressB] = [link.siteA.address, link.siteB?.address ?? null];
      compiled.push(linkSchema.parse(desiredLink({ linkId: link.id, config: linkConfig.parse(link.config), end, addressA, addressB, authentication })));
    } catch (error) {
      if (!(error instanceof z.ZodError || error instanceof NoCredential)) throw error;
      refused.push({ linkId: link.id, reason: reasonOf(error) });
    }
  }
  const isTold = compiled.some(usesOwnAuthority(authorities));
  const lists = isTold ? revocationLists(authorityRows) : [];
  const { ikePort, natPort, tunName, tunMtu, outboundWorkers, inboundWorkers } = gateway;
  const state = desiredState.parse({
    schema: 1,
    revision: gateway.desiredRevision,
    // What is as it always was is left out: a gateway of an older version knows no word for it.
    gateway: {
      ...{ name: gateway.site.name, ikePort, natPort, tunName, tunMtu },
      ...(outboundWorkers === 1 ? {} : { outboundWorkers }),
      ...(inboundWorkers === 1 ? {} : { inboundWorkers }),
    },
    links: compiled,
    ...(lists.length === 0 ? {} : { revocationLists: lists }),
  });
  return { state, refused };
}

async function readRows(tx: Transaction, gatewayId: string) {
  const gateway = await tx.gateway.findUniqueOrThrow({ where: { id: gatewayId }, include: { site: true } });
  const links = await tx.link.findMany({
    where: { OR: [{ siteAId: gateway.siteId }, { siteBId: gateway.siteId }] },
    include: { siteA: { include: { gateway: true } }, siteB: { include: { gateway: true } }, credentials: acceptedCredentials },
    orderBy: { createdAt: "asc" },
  });
  const authorityRows = await tx.authority.findMany({ where: { purpose: "ipsec", notAfter: { gt: new Date() } }, orderBy: { createdAt: "asc" } });
  return { gateway, links, authorityRows };
}

/** A machine that was revoked still has the key that it shares with its peer; a certificate of its is in a list instead. @throws NoCredential */
function refuseKeyOfRevoked(credentials: readonly CredentialWithSecret[], peer: { name: string; gateway: { revokedAt: Date | null } | null } | null): void {
  if (peer?.gateway?.revokedAt == null || credentials.every(({ kind }) => kind !== "psk")) return;
  throw new NoCredential(`The gateway of ${peer.name} was revoked, and it has the link's pre-shared key. Enrol it again for a new one, or delete the link`);
}

/** Whether a link's peer is believed by the console's own authorities: of those alone there are lists here. */
function usesOwnAuthority(authorities: readonly string[]): (link: DesiredLink) => boolean {
  return ({ authentication }) =>
    authentication.method === "certificate" && authentication.trustedAuthorities.some((pem) => typeof pem === "string" && authorities.includes(pem));
}

/** Which part is wrong, never its value: that may be a secret. */
function reasonOf(error: z.ZodError | NoCredential): string {
  if (error instanceof NoCredential) return error.message;
  const [issue] = error.issues;
  return `Its configuration is not valid at ${issue?.path.join(".") || "its root"}: ${issue?.code ?? "unknown"}.`;
}
