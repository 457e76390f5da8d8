import "reflect-metadata";
import { request } from "node:https";
import type { TLSSocket } from "node:tls";
import { Pkcs10CertificateRequestGenerator } from "@peculiar/x509";
import { WebSocket } from "ws";
import type { DesiredState } from "../../contract/desired-state.ts";
import type { EnrolResponse } from "../../contract/enrolment.ts";
import { type FromGateway, type FromHub, fromHub, hubPath } from "../../contract/hub-protocol.ts";
import type { ObservedLink } from "../../contract/observed-state.ts";
import { createEnrolmentToken } from "../sites/enrolment.ts";
import { owner } from "./database.ts";

export interface Identity {
  readonly key?: string;
  readonly cert?: string;
}

/** The gateway's end of a connection to a hub, over real mutual TLS; what it says is up to the test. */
export interface FakeGateway {
  readonly socket: WebSocket;
  readonly identity: Identity;
  /** The first desired state that `accept` takes, of those pushed so far or to come. */
  until(accept: (state: DesiredState) => boolean): Promise<DesiredState>;
  desiredWith(linkId: string): Promise<DesiredState>;
  onCommand(listener: (id: string) => void): void;
  send(message: FromGateway): void;
}

export async function enrolAndConnect(port: number, siteId: string): Promise<FakeGateway> {
  const { token } = await createEnrolmentToken(owner, siteId);
  const { body, privateKeyPem } = await enrol(port, token);
  return connectGateway(port, { key: privateKeyPem, cert: body.certificatePem });
}

export async function connectGateway(port: number, identity: Identity): Promise<FakeGateway> {
  const states: DesiredState[] = [];
  const waiting: (() => void)[] = [];
  let commandListener: (id: string) => void = () => {};
  const socket = await connectRaw(port, identity, (message) => {
    if (message.type === "desired") states.push(message.state);
    if (message.type === "command") commandListener(message.id);
    for (const wake of waiting.splice(0)) wake();
  });
  const until = async (accept: (state: DesiredState) => boolean): Promise<DesiredState> => {
    for (;;) {
      const last = states.at(-1);
      if (last !== undefined && accept(last)) return last;
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
  };
  return {
    socket,
    identity,
    until,
    desiredWith: (linkId) => until((state) => state.links.some((link) => link.id === linkId)),
    onCommand(listener) {
      commandListener = listener;
    },
    send: (message) => socket.send(JSON.stringify(message)),
  };
}

const open: WebSocket[] = [];

export function connectRaw(port: number, identity: Identity, onMessage: (message: FromHub) => void = () => {}): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    // What TLS trusts is the gateway's side, tested with it; here the hub's own checks are looked at.
    const socket = new WebSocket(`wss://127.0.0.1:${port}${hubPath}`, { ...identity, rejectUnauthorized: false });
    open.push(socket);
    socket.on("message", (data: Buffer) => onMessage(fromHub.parse(JSON.parse(data.toString()))));
    socket.once("open", () => resolve(socket));
    socket.on("error", reject);
  });
}

/** Ends every connection made here. */
export function endConnections(): void {
  for (const socket of open.splice(0)) socket.terminate();
}

/** Enrols a machine with a fresh key as the agent does. */
export async function enrol(port: number, token: string): Promise<{ status: number; body: EnrolResponse; privateKeyPem: string }> {
  const keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const csr = await Pkcs10CertificateRequestGenerator.create({ name: "CN=test", keys, signingAlgorithm: { name: "ECDSA", hash: "SHA-256" } });
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  const { status, body } = await post(port, { token, csrPem: csr.toString("pem"), hostname: "gw.example.test", agentVersion: "test" });
  return { status, body: body as EnrolResponse, privateKeyPem: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n` };
}

/** POSTs to /enrol. */
export function post(port: number, body: unknown): Promise<{ status: number; body: unknown }> {
  return new Promise((resolve, reject) => {
    const message = request({ host: "127.0.0.1", port, path: "/enrol", method: "POST", rejectUnauthorized: false }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) }));
    });
    message.on("error", reject);
    message.end(JSON.stringify(body));
  });
}

/** GETs a path: its status, and the fingerprint of the certificate that the hub showed. */
export function get(port: number, path: string): Promise<{ status: number; certificate: string }> {
  return new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port, path, rejectUnauthorized: false, agent: false }, (response) => {
      const certificate = (response.socket as TLSSocket).getPeerCertificate().fingerprint256;
      response.resume();
      resolve({ status: response.statusCode ?? 0, certificate });
    })
      .on("error", reject)
      .end();
  });
}

/** A report of one link with one IKE SA and one Child SA, whose totals are `bytes` and a hundredth of it in packets. */
export function reportOf(revision: number, links: readonly { id: string; state: ObservedLink["state"]; bytes: number; spi?: string }[]): FromGateway {
  const now = Date.now();
  return {
    type: "report",
    state: {
      at: now,
      revision,
      agentVersion: "test",
      startedAt: now,
      plane: "tun",
      planeReason: "test",
      links: links.map(({ id, state, bytes, spi }) => observedLinkOf(id, state, bytes, spi ?? "0000aaaa")),
      drops: noDrops,
      memoryBytes: 1,
    },
  };
}

const noDrops = { replay: 0, integrity: 0, noSa: 0, policy: 0, tooBig: 0, lifetime: 0, malformed: 0, congestion: 0, unsent: 0 };

function observedLinkOf(id: string, state: ObservedLink["state"], bytes: number, inboundSpi: string): ObservedLink {
  const now = Date.now();
  const child = {
    name: "lan",
    state: "established" as const,
    inboundSpi,
    outboundSpi: "0000bbbb",
    suite: "aes256gcm16",
    protocol: "esp" as const,
    mode: "tunnel" as const,
    encapsulation: "udp" as const,
    localNetworks: ["10.1.0.0/24"],
    remoteNetworks: ["10.2.0.0/24"],
    installedAt: now,
    rekeyAt: null,
    expiresAt: null,
    closesAt: null,
    bytesIn: bytes,
    bytesOut: bytes,
    packetsIn: Math.ceil(bytes / 100),
    packetsOut: Math.ceil(bytes / 100),
    drops: noDrops,
  };
  const ike = {
    state: "established" as const,
    role: "initiator" as const,
    spiI: "00000000000000aa",
    spiR: "00000000000000bb",
    suite: "aes256gcm16-prfsha384-x25519-ke1_mlkem768",
    postQuantum: true,
    localEndpoint: "192.0.2.1:4500",
    remoteEndpoint: "198.51.100.1:4500",
    remoteIdentity: "berlin",
    credentialId: null,
    nat: "none" as const,
    establishedAt: now,
    rekeyAt: null,
    childSas: [child],
  };
  return { id, state, since: now, ikeSas: [ike], lastFailure: null, roundTripMs: 1.5, probesSent: 1, probesAnswered: 1 };
}
