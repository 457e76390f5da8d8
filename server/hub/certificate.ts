import { database } from "../db/client.ts";
import { hubUrl } from "../db/settings.ts";
import { ensureAuthority, issueCertificate, newKeyPair } from "../keys/authority.ts";

export interface HubTls {
  /** PEM: the hub's certificate, then the authority's, which enrolling gateways pin. */
  readonly chain: string;
  readonly privateKey: string;
  readonly authority: string;
}

/** Gateways accept this name at whatever address they reach the hub: the authority that signs it signs nothing but hubs and gateways. */
const hubName = "culvert-hub";
const days = 90;

/** A certificate for this hub process, with a key that never leaves its memory: each start makes a new one. */
export async function issueHubCertificate(): Promise<HubTls> {
  return database().$transaction(async (tx) => {
    const authority = await ensureAuthority(tx, "hub");
    const keys = await newKeyPair();
    const host = new URL(hubUrl()).hostname.replace(/^\[|\]$/g, "");
    const isAddress = /^[\d.]+$|:/.test(host);
    const issued = await issueCertificate(tx, authority, {
      publicKey: keys.publicKey,
      commonName: hubName,
      dnsNames: isAddress ? [hubName] : [hubName, host],
      ipAddresses: isAddress ? [host] : [],
      usage: "server",
      days,
    });
    return { chain: `${issued.certificatePem}\n${authority.certificatePem}`, privateKey: keys.privateKeyPem, authority: authority.certificatePem };
  });
}
