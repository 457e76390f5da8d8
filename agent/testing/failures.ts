import { fromPrefix } from "../ipsec/traffic-selector.ts";
import { ExchangeType, Kex } from "../wire/iana.ts";
import { parseMessage, serializeMessage } from "../wire/ikev2/message.ts";
import type { IkeSpi, Payload } from "../wire/ikev2/message-types.ts";
import type { ChildConfig, EndpointOptions, LinkConfig } from "../ike/endpoint-types.ts";
import { invalidKe, sendRequest } from "../ike/messaging.ts";
import { reschedule } from "../ike/settle.ts";
import { newTurn, touchIkeSa } from "../ike/turn.ts";
import { requestChild } from "../ike/v2/child-negotiation.ts";
import { makeCertificate, makeKeys, privateKeyOf } from "./certificates.ts";
import { ikeSaOf } from "./forgery.ts";
import type { Packet } from "./lossy-link.ts";
import { linkConfigs, Pair, type Side } from "./pair.ts";

/* Every failure that engine.md lists, provoked between two real endpoints in virtual time. `a` is the one that begins. */

export interface FailureScenario {
  readonly name: string;
  provoke(): Promise<FailedPair>;
}

export interface FailedPair {
  readonly pair: Pair;
  readonly configs: { readonly a: LinkConfig; readonly b: LinkConfig };
}

type Overrides = Parameters<typeof linkConfigs>[0];
type Options = { readonly a?: Partial<EndpointOptions>; readonly b?: Partial<EndpointOptions> };

const DAY_MS = 86_400_000;
/** Where the pair's clock starts. */
const START = 1_800_000_000_000;

/** All retransmissions of one request are over. */
const GIVEN_UP_MS = 45_000;

/** Sets both ends up and lets `durationMs` pass. */
function attempt(overrides: Overrides, durationMs: number, options: Options = {}, before: (pair: Pair) => void = () => undefined): FailedPair {
  const pair = new Pair(7, options);
  before(pair);
  const configs = linkConfigs(overrides);
  pair.give(pair.b, { kind: "setLink", link: configs.b });
  pair.give(pair.a, { kind: "setLink", link: configs.a });
  pair.run(durationMs);
  return { pair, configs };
}

function simple(name: string, overrides: Overrides, durationMs = 900): FailureScenario {
  return { name, provoke: async () => attempt(overrides, durationMs) };
}

/** Packets of a kind never arrive. */
function losing(name: string, overrides: Overrides, isLost: (packet: Packet, pair: Pair) => boolean): FailureScenario {
  return {
    name,
    provoke: async () =>
      attempt(overrides, GIVEN_UP_MS, {}, (pair) => {
        pair.link.drops = (packet) => isLost(packet, pair);
      }),
  };
}

/** A link that is up, and what happens to it then. */
function established(name: string, overrides: Overrides, then: (pair: Pair) => void, options: Options = {}): FailureScenario {
  return {
    name,
    provoke: async () => {
      const failed = attempt(overrides, 2_000, options);
      then(failed.pair);
      return failed;
    },
  };
}

const pskOf = (id: string, text: string) => ({
  credentials: { method: "psk" as const, keys: [{ id, secret: new TextEncoder().encode(text) }], use: id },
});
const net = (text: string) => [fromPrefix(text)];
const fqdn = (name: string) => ({ kind: "fqdn" as const, name });

/** `from` asks something under its keys that no engine of ours would ask. */
function askOddly(pair: Pair, from: Side, exchangeType: number, payloads: readonly Payload[]): void {
  const turn = newTurn(from.engine, pair.clock.now() + from.clockAheadMs);
  touchIkeSa(turn, ikeSaOf(from));
  const link = from.engine.links.get("link")!;
  const child = requestChild(turn, ikeSaOf(from), link, link.config.children[0]!, null);
  sendRequest(turn, ikeSaOf(from), exchangeType, payloads, { kind: "createChild", child, followUp: null });
  reschedule(turn);
  pair.carryOut(from, turn.effects);
  pair.run(500);
}

interface Wishes {
  readonly notBefore?: number;
  readonly notAfter?: number;
  /** The name in the certificate of `a`. */
  readonly nameOfA?: string;
  readonly foreign?: boolean;
  readonly clockOfBAheadMs?: number;
  /** `b` knows only a pre-shared key. */
  readonly keyAtB?: boolean;
}

/** Both ends with certificates of one authority; `wishes` are about that of `a`. */
function certificates(name: string, wishes: Wishes): FailureScenario {
  return {
    name,
    provoke: async () => {
      const dates = { notBefore: START - 100 * DAY_MS, notAfter: START + 100 * DAY_MS };
      const makeAuthority = async (subject: string) => makeCertificate({ name: subject, authority: { pathLength: null }, ...dates, keys: await makeKeys() });
      const authority = await makeAuthority("CN=Test authority");
      const issuer = wishes.foreign === true ? await makeAuthority("CN=Foreign authority") : authority;
      const issue = async (subject: string, more: { readonly issuer: typeof authority; readonly notBefore?: number; readonly notAfter?: number }) => {
        const made = await makeCertificate({ name: `CN=${subject}`, ...dates, ...more, alternativeNames: [{ type: "dns", value: subject }] });
        return { id: subject, chain: [made.der], privateKey: await privateKeyOf(made) };
      };
      const own = await issue(wishes.nameOfA ?? "a.example", {
        issuer,
        ...(wishes.notBefore === undefined ? {} : { notBefore: wishes.notBefore }),
        ...(wishes.notAfter === undefined ? {} : { notAfter: wishes.notAfter }),
      });
      const theirs = await issue("b.example", { issuer: authority });
      const credentialsOf = (one: typeof own) => ({
        credentials: { method: "certificate" as const, certificates: [one], use: one.id, trustedAuthorities: [authority.der] },
      });
      return attempt({ a: credentialsOf(own), b: wishes.keyAtB === true ? {} : credentialsOf(theirs) }, 900, {}, (pair) => {
        pair.b.clockAheadMs = wishes.clockOfBAheadMs ?? 0;
      });
    },
  };
}

/** Puts an unknown critical payload in front of every IKE_SA_INIT of `a`, as a peer with an extension might. */
function insistOnUnknown(pair: Pair): void {
  const send = pair.link.send.bind(pair.link);
  pair.link.send = (from, to, bytes, now) => {
    const isInit = bytes[18] === ExchangeType.IKE_SA_INIT && from.address === pair.a.address;
    if (!isInit) return send(from, to, bytes, now);
    const { header, payloads } = parseMessage(bytes);
    send(from, to, serializeMessage(header, [...payloads, UNKNOWN_CRITICAL]), now);
  };
}

/** In place of `b` a peer answers that takes one group only, and not one of `a`'s. */
function insistOnGroup(pair: Pair): void {
  const send = pair.link.send.bind(pair.link);
  pair.link.send = (from, to, bytes, now) => {
    const isAnswer = bytes[18] === ExchangeType.IKE_SA_INIT && from.address === pair.b.address;
    if (!isAnswer) return send(from, to, bytes, now);
    const { header } = parseMessage(bytes);
    send(from, to, serializeMessage({ ...header, spiR: 0n as IkeSpi }, [invalidKe(Kex.ECP_521)]), now);
  };
}

const UNKNOWN_CRITICAL: Payload = { kind: "unknown", payloadType: 77, critical: true, data: new Uint8Array(4) };

/** Whatever comes from `a` seems to come from another port each time. */
function changePorts(pair: Pair): void {
  const send = pair.link.send.bind(pair.link);
  let port = 40_000;
  pair.link.send = (from, to, bytes, now) => send(from.address === pair.a.address ? { ...from, port: port++ } : from, to, bytes, now);
}

function hosts(local: string, remote: string, inTransport: boolean): ChildConfig {
  return { name: "host", localSelectors: net(`${local}/32`), remoteSelectors: net(`${remote}/32`), mode: inTransport ? "transport" : "tunnel" };
}

/** The link of `b` is there and not wanted when `a` begins. */
function takenDownAtB(): FailedPair {
  const pair = new Pair(7);
  const configs = linkConfigs();
  pair.give(pair.b, { kind: "setLink", link: configs.b });
  pair.give(pair.b, { kind: "down", linkId: "link" });
  pair.give(pair.a, { kind: "setLink", link: configs.a });
  pair.run(4_000);
  return { pair, configs };
}

export const failureScenarios: readonly FailureScenario[] = [
  simple(
    "NO_PROPOSAL_CHOSEN, IKE: the group",
    { a: { ikeProposals: ["aes256gcm16-prfsha384-modp2048"] }, b: { ikeProposals: ["aes256gcm16-prfsha384-x25519"] } },
    4_000,
  ),
  simple(
    "NO_PROPOSAL_CHOSEN, IKE: several algorithms",
    { a: { ikeProposals: ["aes256gcm16-prfsha384-x25519"] }, b: { ikeProposals: ["aes128-sha256-modp2048", "aes256-sha256-modp2048"] } },
    4_000,
  ),
  simple("NO_PROPOSAL_CHOSEN, ESP", { b: { espProposals: ["aes128gcm16"] } }, 500),
  simple("wrong pre-shared key", { b: pskOf("2026-11", "another key") }),
  simple("identity of the initiator", { b: { remoteIdentity: fqdn("c.example") } }),
  simple("identity of the responder", { a: { remoteIdentity: fqdn("c.example") } }),
  certificates("certificate expired", { notAfter: START - DAY_MS }),
  certificates("certificate untrusted", { foreign: true }),
  certificates("certificate of another name", { nameOfA: "c.example" }),
  certificates("clock skew against a certificate", { notBefore: START - DAY_MS, clockOfBAheadMs: -3 * DAY_MS }),
  certificates("certificate against pre-shared key", { keyAtB: true }),
  { name: "INVALID_KE_PAYLOAD: a group that was not offered", provoke: async () => attempt({}, 4_000, {}, insistOnGroup) },
  simple("TS_UNACCEPTABLE", { b: { children: [{ name: "net", localSelectors: net("10.9.0.0/24"), remoteSelectors: net("10.1.0.0/24") }] } }, 500),
  simple("AH against ESP", { a: { ahProposals: ["sha256"] } }, 500),
  simple("AH, and UDP encapsulation asked for", { a: { ahProposals: ["sha256"] }, b: { ahProposals: ["sha256"], forceEncapsulation: true } }, 500),
  simple(
    "transport mode at one end only",
    { a: { children: [hosts("192.0.2.1", "192.0.2.2", true)] }, b: { children: [hosts("192.0.2.2", "192.0.2.1", false)] } },
    500,
  ),
  simple(
    "tunnel mode at one end only",
    { a: { children: [hosts("192.0.2.1", "192.0.2.2", false)] }, b: { children: [hosts("192.0.2.2", "192.0.2.1", true)] } },
    500,
  ),
  losing("peer silent: nothing arrives", {}, () => true),
  losing("peer silent: the answers are lost", {}, (packet, pair) => packet.from.address === pair.b.address),
  losing("peer silent: IKE_AUTH is lost on the NAT-T port", { a: { forceEncapsulation: true } }, (packet) => packet.to.port === 4500),
  established("peer silent: the SA was up", {}, (pair) => {
    pair.link.drops = () => true;
    pair.run(70_000);
  }),
  established("INVALID_SYNTAX in a protected request", {}, (pair) =>
    askOddly(pair, pair.a, ExchangeType.CREATE_CHILD_SA, [
      { kind: "sa", proposals: [] },
      { kind: "tsi", selectors: [] },
    ]),
  ),
  established("unsupported critical payload in a protected request", {}, (pair) => askOddly(pair, pair.a, ExchangeType.CREATE_CHILD_SA, [UNKNOWN_CRITICAL])),
  { name: "unsupported critical payload in IKE_SA_INIT", provoke: async () => attempt({}, 4_000, {}, insistOnUnknown) },
  { name: "cookie required", provoke: async () => attempt({}, 900, { b: { cookieThreshold: 0 } }) },
  { name: "cookie required again and again", provoke: async () => attempt({}, 4_000, { b: { cookieThreshold: 0 } }, changePorts) },
  { name: "half-open limit", provoke: async () => attempt({}, GIVEN_UP_MS, { b: { cookieThreshold: 0, halfOpenLimit: 0 } }) },
  established("SA lifetime mismatch", {}, (pair) => {
    pair.run(40_000);
    const [sa] = [...pair.b.inbound.values()];
    pair.give(pair.b, { kind: "expire", childSaId: sa!.childSaId, spi: sa!.spi, hard: true });
    pair.run(500);
  }),
  established("SA lifetime mismatch of the IKE SA", {}, (pair) => {
    pair.run(40_000);
    pair.give(pair.b, { kind: "down", linkId: "link" });
    pair.run(500);
  }),
  established(
    "PFS mismatch, seen only at the rekey",
    { a: { espProposals: ["aes256gcm16-x25519"] }, b: { espProposals: ["aes256gcm16-modp2048"] } },
    (pair) => {
      pair.give(pair.a, { kind: "rekey", linkId: "link", what: "child" });
      pair.run(500);
    },
  ),
  established("PFS wanted by one end only", { a: { espProposals: ["aes256gcm16-x25519"] }, b: { espProposals: ["aes256gcm16"] } }, (pair) => {
    pair.give(pair.a, { kind: "rekey", linkId: "link", what: "child" });
    pair.run(500);
  }),
  { name: "duplicate SA", provoke: async () => attempt({ b: { initiate: "start" } }, 5_000) },
  { name: "the link was taken down at the peer", provoke: async () => takenDownAtB() },
  { name: "no link for the peer's address", provoke: async () => attempt({ b: { remoteAddresses: ["198.51.100.9"] } }, 4_000) },
];
