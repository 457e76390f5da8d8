import { type PeerCertificate, checkServerIdentity, connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { isIP } from "node:net";

/** A name that only hub certificates carry: it holds for a hub behind any address or forwarder. */
const hubName = "culvert-hub";

export interface HubAddress {
  /** `https://HOST:PORT`. */
  readonly url: URL;
  /** Unix socket that replaces the TCP connection (and nothing else of TLS); null: none. */
  readonly via: string | null;
}

/** Reads `https://HOST:PORT` and `unix:/path`. Throws an Error with a sentence. */
export function parseHubAddress(hub: string, via: string | null): HubAddress {
  const url = URL.canParse(hub) ? new URL(hub) : null;
  if (url === null || url.protocol !== "https:") throw new Error(`the hub's address must look like https://HOST:PORT, not "${hub}"`);
  if (via === null) return { url, via: null };
  if (!via.startsWith("unix:/")) throw new Error(`--via must look like unix:/path/to/socket, not "${via}"`);
  return { url, via: via.slice("unix:".length) };
}

/** TLS 1.3 to the hub. The certificate must chain to `ca` and be for the host asked for or for the name that all hubs carry. */
export function hubTlsOptions(address: HubAddress, ca: string): ConnectionOptions {
  const host = address.url.hostname.replace(/^\[|\]$/g, "");
  return {
    ...(address.via === null ? { host, port: Number(address.url.port || 443) } : { path: address.via }),
    servername: isIP(host) === 0 ? host : hubName,
    minVersion: "TLSv1.3",
    ca: [ca],
    checkServerIdentity: (_name, certificate) => hubIdentityFault(host, certificate),
  };
}

/** Opens the connection; resolves once TLS is set up, rejects with the reason. */
export function connectToHub(options: ConnectionOptions, timeoutMs: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect(options);
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer within ${timeoutMs / 1_000} s`)));
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      socket.setTimeout(0);
      socket.off("error", reject);
      resolve(socket);
    });
  });
}

function hubIdentityFault(host: string, certificate: PeerCertificate): Error | undefined {
  if (checkServerIdentity(hubName, certificate) === undefined) return undefined;
  return checkServerIdentity(host, certificate);
}
