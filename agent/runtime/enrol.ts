import { createHash, X509Certificate } from "node:crypto";
import { request } from "node:https";
import { hostname } from "node:os";
import { enrolmentToken, enrolPath, enrolResponse, type EnrolRequest, type EnrolResponse } from "../../contract/enrolment.ts";
import { connectToHub, type HubAddress, hubTlsOptions, parseHubAddress } from "./hub-tls.ts";
import { createCertificateRequest } from "./machine-key.ts";
import type { MachineIdentity } from "./state-store.ts";

export interface EnrolOptions {
  readonly hub: string;
  readonly via: string | null;
  readonly token: string;
  readonly agentVersion: string;
}

const TIMEOUT_MS = 15_000;
const LONGEST_ANSWER = 262_144;

/**
 * Trades a one-use token for a certificate. The key is made here and stays here. The hub is trusted only if its TLS chain ends
 * in the very CA whose SHA-256 is in the token. Rejects with a sentence that does not hold the token.
 */
export async function enrol(options: EnrolOptions): Promise<MachineIdentity> {
  if (!enrolmentToken.safeParse(options.token).success) throw new Error("the token is not complete: copy the whole command from the console again");
  const address = parseHubAddress(options.hub, options.via);
  const caPem = await fetchPinnedCa(address, options.token.split(".")[2]!);
  const { privateKeyPem, csrPem } = await createCertificateRequest(hostname());
  const answer = await post(address, caPem, { token: options.token, csrPem, hostname: hostname(), agentVersion: options.agentVersion });
  if (!new X509Certificate(answer.caPem).raw.equals(new X509Certificate(caPem).raw))
    throw new Error("the hub answered with another CA than the one in the token");
  const certificate = new X509Certificate(answer.certificatePem);
  if (!certificate.verify(new X509Certificate(caPem).publicKey)) throw new Error("the certificate that the hub issued is not signed by its CA");
  return {
    gatewayId: answer.gatewayId,
    siteName: answer.siteName,
    hub: options.hub,
    via: options.via,
    caPem,
    certificatePem: answer.certificatePem,
    privateKeyPem,
  };
}

/**
 * The CA certificate from the hub's chain, once its hash matches. This first connection proves nothing else and carries
 * nothing; the second is checked by TLS in full against that CA.
 */
async function fetchPinnedCa(address: HubAddress, pin: string): Promise<string> {
  const socket = await connectToHub({ ...hubTlsOptions(address, ""), ca: undefined, rejectUnauthorized: false }, TIMEOUT_MS);
  try {
    let certificate = socket.getPeerX509Certificate();
    for (let depth = 0; certificate !== undefined && depth < 8; depth++) {
      if (createHash("sha256").update(certificate.raw).digest("base64url") === pin) return certificate.toString();
      certificate = certificate.issuerCertificate;
    }
  } finally {
    socket.destroy();
  }
  throw new Error("the hub does not present the CA of this token: the address is wrong, or someone is in between");
}

async function post(address: HubAddress, caPem: string, body: EnrolRequest): Promise<EnrolResponse> {
  const socket = await connectToHub(hubTlsOptions(address, caPem), TIMEOUT_MS);
  const text = JSON.stringify(body);
  const { status, answer } = await new Promise<{ status: number; answer: string }>((resolve, reject) => {
    const message = request(
      {
        createConnection: () => socket,
        host: address.url.hostname,
        method: "POST",
        path: enrolPath,
        headers: { "content-type": "application/json", "content-length": Buffer.byteLength(text), connection: "close" },
        timeout: TIMEOUT_MS,
      },
      (response) => {
        let received = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          received += chunk;
          if (received.length > LONGEST_ANSWER) message.destroy(new Error("the hub's answer is too long"));
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, answer: received }));
        response.on("error", reject);
      },
    );
    message.on("timeout", () => message.destroy(new Error("the hub did not answer")));
    message.on("error", reject);
    message.end(text);
  });
  if (status !== 200) throw new Error(`the hub refused (${status}): ${refusalOf(answer)}`);
  const parsed = enrolResponse.safeParse(parseJson(answer));
  if (!parsed.success) throw new Error("the hub's answer could not be read; are hub and agent of the same version?");
  return parsed.data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Hubs answer `{ "error": "…" }`; anything else is shown shortened. */
function refusalOf(answer: string): string {
  const value = parseJson(answer);
  if (typeof value === "object" && value !== null && "error" in value && typeof value.error === "string") return value.error;
  return answer.slice(0, 200);
}
