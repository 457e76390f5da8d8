import "reflect-metadata";
import { X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer, type Server } from "node:https";
import { isIP } from "node:net";
import { join } from "node:path";
import { pipeline } from "node:stream";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";

export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
}

/**
 * TLS in front of the console, which itself speaks HTTP on loopback only. Passes requests on as they are, streams included, with
 * `x-forwarded-proto` and `x-forwarded-for` set here and never taken from the client. Resolves when it listens.
 */
export function startTlsFront(options: { tls: TlsFiles; host: string; port: number; consolePort: number }): Promise<Server> {
  const { tls, host, port, consolePort } = options;
  const server = createServer({ cert: tls.certificate, key: tls.key, minVersion: "TLSv1.2" }, (incoming, answer) => {
    const headers = {
      ...incoming.headers,
      "x-forwarded-proto": "https",
      "x-forwarded-host": incoming.headers.host ?? "",
      "x-forwarded-for": incoming.socket.remoteAddress ?? "",
    };
    const onward = request({ host: "127.0.0.1", port: consolePort, method: incoming.method, path: incoming.url, headers }, (reply) => {
      answer.writeHead(reply.statusCode ?? 502, reply.headers);
      // A client that leaves ends the stream behind it, and the other way round; neither is an error of this server.
      pipeline(reply, answer, () => undefined);
    });
    onward.once("error", () => {
      if (!answer.headersSent) answer.writeHead(502, { "content-type": "text/plain" }).end("The console is not running.\n");
      else answer.destroy();
    });
    answer.once("close", () => onward.destroy());
    incoming.pipe(onward);
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => resolve(server));
  });
}

/** The certificate for the console's public URL: the files named by CULVERT_TLS_CERT_FILE and _KEY_FILE, else a self-signed one. */
export async function consoleTls(directory: string, publicUrl: string, given: { certificate: string | undefined; key: string | undefined }): Promise<TlsFiles> {
  if ((given.certificate === undefined) !== (given.key === undefined))
    throw new Error("CULVERT_TLS_CERT_FILE and CULVERT_TLS_KEY_FILE belong together: one of them is missing.");
  if (given.certificate !== undefined && given.key !== undefined)
    return { certificate: readFileSync(given.certificate, "utf8"), key: readFileSync(given.key, "utf8") };
  const host = new URL(publicUrl).hostname.replace(/^\[|\]$/g, "");
  const files = { certificate: join(directory, "tls", "console.crt"), key: join(directory, "tls", "console.key") };
  if (!existsSync(files.certificate) || !isGoodFor(readFileSync(files.certificate, "utf8"), host)) {
    const made = await selfSigned(host);
    mkdirSync(join(directory, "tls"), { recursive: true, mode: 0o700 });
    writeFileSync(files.key, made.key, { mode: 0o600 });
    writeFileSync(files.certificate, made.certificate);
  }
  return { certificate: readFileSync(files.certificate, "utf8"), key: readFileSync(files.key, "utf8") };
}

const monthMilliseconds = 30 * 86_400_000;

function isGoodFor(pem: string, host: string): boolean {
  const certificate = new X509Certificate(pem);
  const isNamed = isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host);
  return isNamed !== undefined && certificate.validToDate.getTime() > Date.now() + monthMilliseconds;
}

/** 397 days is the longest that browsers take. */
async function selfSigned(host: string): Promise<TlsFiles> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const names = [...new Set([host, "localhost", "127.0.0.1"])].map((name) => ({ type: isIP(name) === 0 ? ("dns" as const) : ("ip" as const), value: name }));
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      name: `CN=Culvert console, O=${host.replace(/[^A-Za-z0-9.-]/g, " ").trim()}`,
      keys,
      signingAlgorithm: algorithm,
      notBefore: new Date(Date.now() - 3_600_000),
      notAfter: new Date(Date.now() + 397 * 86_400_000),
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
        new SubjectAlternativeNameExtension(names),
      ],
    },
    crypto,
  );
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8.replace(/.{64}/g, "$&\n").trimEnd()}\n-----END PRIVATE KEY-----\n`;
  return { certificate: certificate.toString("pem"), key };
}
