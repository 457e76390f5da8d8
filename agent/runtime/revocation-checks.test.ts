import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type Certificate, readCertificate } from "../crypto/certificate.ts";
import type { RevocationQuery } from "../crypto/revocation.ts";
import { RevokingAuthority } from "../testing/revoking-authority.ts";
import { RevocationChecks } from "./revocation-checks.ts";

/** The authority's web server: what each path answers, and what was asked of it. */
const answers = new Map<string, (request: IncomingMessage, response: ServerResponse, body: Buffer) => void>();
const requests: string[] = [];
let server: Server;
let web: string;
let ca: RevokingAuthority;
let authority: Certificate;
let directory: string;
let now: number;
const checks: RevocationChecks[] = [];
const log: string[] = [];
let changes = 0;

beforeAll(async () => {
  server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => (answers.get(request.url ?? "") ?? ((_request, one) => one.writeHead(404).end()))(request, response, Buffer.concat(parts)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  web = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  ca = new RevokingAuthority();
  authority = readCertificate(ca.certificate);
});
afterAll(() => {
  ca.remove();
  server.close();
});

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cvrt-revocation-"));
  now = Date.now() + 60_000;
  for (const list of [requests, log]) list.length = 0;
  answers.clear();
  changes = 0;
});
afterEach(() => {
  for (const one of checks.splice(0)) one.close();
  rmSync(directory, { recursive: true });
});

test("a list of the configuration is used from then on, once, and only one that a trusted authority signed", async () => {
  const certificate = readCertificate(ca.issue("stated", []));
  const made = newChecks();
  const status = () => made.store.status(certificate, authority, now).kind;
  expect(status()).toBe("unknown");
  ca.revoke("stated");
  const lists = [ca.list()];
  const stranger = new RevokingAuthority();
  try {
    await made.take({ lists, authorities: [readCertificate(stranger.certificate)] });
  } finally {
    stranger.remove();
  }
  expect([status(), log.length]).toEqual(["unknown", 1]);
  expect(log[0]).toContain("is not signed by the certificate's authority");
  await made.take({ lists, authorities: [authority] });
  expect([status(), changes]).toEqual(["revoked", 1]);
  await made.take({ lists, authorities: [authority] });
  expect([changes, log.length, requests]).toEqual([1, 1, []]);
});

/** `timeoutMs`: where a server is to be silent. What answers has the time that it takes, however busy the machine. */
function newChecks(timeoutMs = 600_000): RevocationChecks {
  const made = new RevocationChecks({
    now: () => now,
    onChange: () => {
      changes += 1;
    },
    log: (sentence) => void log.push(sentence),
    directory: join(directory, "revocation"),
    timeoutMs,
  });
  checks.push(made);
  return made;
}

let issued = 0;
function issue(extensions: readonly string[]): { name: string; query: () => RevocationQuery } {
  issued += 1;
  const name = `peer-${issued}.example`;
  const certificate = readCertificate(ca.issue(name, extensions));
  return {
    name,
    query: () => {
      const status = newChecks().store.status(certificate, authority, now);
      if (status.kind !== "unsettled") throw new Error(`nobody can be asked about ${name}`);
      return status.query;
    },
  };
}

const serve = (octets: () => Uint8Array) => (_request: IncomingMessage, response: ServerResponse) => void response.writeHead(200).end(octets());
const ocsp = (_request: IncomingMessage, response: ServerResponse, body: Buffer) => void response.writeHead(200).end(ca.answer(body));

test("an OCSP responder is asked first, and its word is enough", async () => {
  answers.set("/ocsp", ocsp);
  const peer = issue([`authorityInfoAccess = OCSP;URI:${web}/ocsp`, `crlDistributionPoints = URI:${web}/all.crl`]);
  ca.revoke(peer.name);
  const one = newChecks();
  const query = peer.query();
  await one.ask(query);
  expect(one.store.status(query.certificate, authority, now)).toMatchObject({ kind: "revoked", reason: "keyCompromise" });
  expect([requests, changes]).toEqual([["POST /ocsp"], 1]);
});

test("where no responder is of use the list is fetched, through a redirect and in PEM too", async () => {
  answers.set("/ocsp", (_request, response) => void response.writeHead(500).end());
  answers.set("/all.crl", (_request, response) => void response.writeHead(302, { location: "/really.crl" }).end());
  answers.set(
    "/really.crl",
    serve(() => {
      ca.list();
      return ca.openssl.read("list.pem");
    }),
  );
  const peer = issue([`authorityInfoAccess = OCSP;URI:${web}/ocsp`, `crlDistributionPoints = URI:${web}/all.crl`]);
  const one = newChecks();
  const query = peer.query();
  await one.ask(query);
  expect(one.store.status(query.certificate, authority, now)).toEqual({ kind: "good" });
  expect(requests).toEqual(["POST /ocsp", "GET /all.crl", "GET /really.crl"]);
});

test("a responder that is silent is not waited for any longer than is allowed", async () => {
  answers.set("/ocsp", () => undefined);
  const one = newChecks(300);
  const query = issue([`authorityInfoAccess = OCSP;URI:${web}/ocsp`]).query();
  await one.ask(query);
  expect(one.store.status(query.certificate, authority, now)).toMatchObject({ kind: "unknown", why: `${web}/ocsp did not answer within 0.3 s` });
});

test("what was tried in vain is told address by address", async () => {
  answers.set("/ocsp", (_request, response) => void response.writeHead(500).end());
  answers.set(
    "/all.crl",
    serve(() => new Uint8Array(5 << 20)),
  );
  answers.set(
    "/other.crl",
    serve(() => new TextEncoder().encode("<html>")),
  );
  const points = ["/all.crl", "/other.crl", "/gone.crl"].map((path) => `URI:${web}${path}`).join(", ");
  const peer = issue([`authorityInfoAccess = OCSP;URI:${web}/ocsp`, `crlDistributionPoints = ${points}`]);
  const one = newChecks();
  const query = peer.query();
  await one.ask(query);
  const status = one.store.status(query.certificate, authority, now);
  if (status.kind !== "unknown") throw new Error(status.kind);
  expect(status.why.replaceAll(web, "")).toBe(
    "/ocsp answered with 500; /all.crl sends more than 4194304 octets; /other.crl: the revocation list ends early; /gone.crl answered with 404",
  );
  expect(changes).toBe(1);
});

test("a server that leads nowhere, or breaks off, costs the answer and nothing else", async () => {
  const leadTo = (location: string) => (_request: IncomingMessage, response: ServerResponse) => void response.writeHead(302, { location }).end();
  answers.set("/nowhere.crl", leadTo("http://["));
  answers.set("/file.crl", leadTo("file:///etc/hostname"));
  answers.set("/round.crl", leadTo("/round.crl"));
  answers.set("/broken.crl", (_request, response) => {
    response.writeHead(200, { "content-length": 100 }).write("half");
    setImmediate(() => response.destroy());
  });
  const points = ["/nowhere.crl", "/file.crl", "/round.crl", "/broken.crl"].map((path) => `URI:${web}${path}`).join(", ");
  const one = newChecks();
  const query = issue([`crlDistributionPoints = ${points}`]).query();
  await one.ask(query);
  const status = one.store.status(query.certificate, authority, now);
  if (status.kind !== "unknown") throw new Error(status.kind);
  expect(status.why.replaceAll(web, "")).toBe(
    "/nowhere.crl leads to no address; /file.crl: file:///etc/hostname is not on the web; /round.crl leads on and on; /broken.crl cannot be reached (aborted)",
  );
  expect(requests.filter((request) => request === "GET /round.crl")).toHaveLength(4);
});

test("a thousand peers of one authority fetch its list once, and the same question is not asked twice at a time", async () => {
  answers.set(
    "/all.crl",
    serve(() => ca.list()),
  );
  const peers = [issue([`crlDistributionPoints = URI:${web}/all.crl`]), issue([`crlDistributionPoints = URI:${web}/all.crl`])].map((peer) => peer.query());
  const one = newChecks();
  await Promise.all([...peers, ...peers, ...peers].map((query) => one.ask(query)));
  expect([requests, changes]).toEqual([["GET /all.crl"], 2]);
});

test("an authority that names the list of another does not spoil it for that one's peers", async () => {
  answers.set(
    "/all.crl",
    serve(() => ca.list()),
  );
  const peer = issue([`crlDistributionPoints = URI:${web}/all.crl`]).query();
  const stranger = new RevokingAuthority();
  try {
    const [issuer, certificate] = [
      readCertificate(stranger.certificate),
      readCertificate(stranger.issue("x.example", [`crlDistributionPoints = URI:${web}/all.crl`])),
    ];
    const one = newChecks();
    await Promise.all([one.ask({ certificate, issuer, responders: [], lists: [`${web}/all.crl`] }), one.ask(peer)]);
    expect([one.store.status(certificate, issuer, now).kind, one.store.status(peer.certificate, authority, now).kind]).toEqual(["unknown", "good"]);
  } finally {
    stranger.remove();
  }
});

test("a list outlives the process, and one that cannot be used any more is removed", async () => {
  answers.set(
    "/all.crl",
    serve(() => ca.list()),
  );
  const peer = issue([`crlDistributionPoints = URI:${web}/all.crl`]);
  const query = peer.query();
  await newChecks().ask(query);
  expect(newChecks().store.status(query.certificate, authority, now)).toEqual({ kind: "good" });
  writeFileSync(join(directory, "revocation/broken.list"), "{");
  now += 8 * 86_400_000;
  expect(newChecks().store.status(query.certificate, authority, now).kind).toBe("unsettled");
  expect([readdirSync(join(directory, "revocation")), requests.length]).toEqual([[], 1]);
});

test("a list is renewed while it is good, so that who is revoked later is found; when that fails the old one stays", async () => {
  answers.set(
    "/all.crl",
    serve(() => ca.list()),
  );
  const peer = issue([`crlDistributionPoints = URI:${web}/all.crl`]);
  const query = peer.query();
  const one = newChecks();
  await one.ask(query);
  await one.refresh();
  expect(requests.length).toBe(1);
  now += 3_600_000;
  ca.revoke(peer.name, "superseded");
  answers.set(
    "/all.crl",
    serve(() => new Uint8Array(3)),
  );
  await one.refresh();
  expect([one.store.status(query.certificate, authority, now).kind, changes, log.length]).toEqual(["good", 1, 1]);
  answers.set(
    "/all.crl",
    serve(() => ca.list()),
  );
  await one.refresh();
  expect(one.store.status(query.certificate, authority, now)).toMatchObject({ kind: "revoked", reason: "superseded" });
  expect(changes).toBe(2);
});
