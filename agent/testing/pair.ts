import type { RevocationQuery } from "../crypto/revocation.ts";
import { Endpoint } from "../ike/endpoint.ts";
import type { Effect, EndpointOptions, IkeEvent, Input, LinkConfig, LinkSnapshot, TraceRecord } from "../ike/endpoint-types.ts";
import type { InboundSa, OutboundPolicy, OutboundSa } from "../ipsec/security-association.ts";
import { type EngineState, newEngineState } from "../ike/turn.ts";
import { NONCE_OCTETS } from "../ike/v2/exchange-values.ts";
import { fromPrefix } from "../ipsec/traffic-selector.ts";
import { LossyLink } from "./lossy-link.ts";
import { SeededRandom } from "./seeded-random.ts";
import { leftUndone } from "./untouched.ts";
import { VirtualClock } from "./virtual-clock.ts";

export const TEST_OPTIONS: EndpointOptions = {
  ikePort: 500,
  natPort: 4500,
  cookieThreshold: 20,
  halfOpenLimit: 100,
  retransmitFirstMs: 1_000,
  retransmitFactor: 1.8,
  retransmitTries: 5,
  retryFirstMs: 1_000,
  retryMaxMs: 60_000,
  rekeyJitter: 0.1,
};

/** One gateway of the pair: an endpoint, and a data plane that only keeps books. */
export class Side {
  readonly name: "a" | "b";
  readonly address: string;
  readonly endpoint: Endpoint;
  /** How far this gateway's clock is ahead of the pair's. */
  clockAheadMs = 0;
  /** How far what the machine's clock says is ahead of what it said at the start: it has been set. */
  wallAheadMs = 0;
  /** The inside of the endpoint, for tests that forge messages under its keys or look for what is left over. */
  readonly engine: EngineState;
  /** Nonces that it draws next, in this order, in place of random ones. */
  readonly nonces: Uint8Array[] = [];
  readonly inbound = new Map<number, InboundSa>();
  readonly outbound = new Map<number, OutboundSa>();
  readonly policies = new Map<string, OutboundPolicy>();
  readonly events: IkeEvent[] = [];
  readonly trace: TraceRecord[] = [];
  readonly pathMtus: number[] = [];
  readonly questions: RevocationQuery[] = [];
  /** How many packets its data plane says have passed, by SPI. */
  readonly packets = new Map<number, number>();
  /** Called with each question, for who answers them. */
  onQuestion: (query: RevocationQuery) => void = () => undefined;
  /** Books that do not balance: an SA installed twice, deleted without being there, a policy on an SA that is not there. */
  readonly bookkeeping: string[] = [];

  constructor(name: "a" | "b", address: string, options: EndpointOptions, random: SeededRandom) {
    this.name = name;
    this.address = address;
    const chosen = { bytes: (length: number) => (length === NONCE_OCTETS ? this.nonces.shift() : undefined) ?? random.bytes(length) };
    const traffic = { packets: (...spis: readonly number[]) => spis.reduce((sum, spi) => sum + (this.packets.get(spi) ?? 0), 0) };
    this.engine = newEngineState({ traffic, ...options }, chosen);
    this.endpoint = new Endpoint(this.engine.options, chosen, this.engine);
  }

  link(id = "link"): LinkSnapshot {
    const found = this.endpoint.snapshot(0).find((one) => one.linkId === id);
    if (found === undefined) throw new Error(`${this.name} has no link ${id}`);
    return found;
  }

  failures(): string[] {
    return this.events.filter((event) => event.kind === "failed").map((event) => `${event.code}: ${event.sentence}`);
  }
}

export interface PairOptions {
  readonly a?: Partial<EndpointOptions>;
  readonly b?: Partial<EndpointOptions>;
  /** Of a and b; links must name the same. */
  readonly addresses?: readonly [string, string];
}

/** Two endpoints, a link between them, and time that passes when told. */
export class Pair {
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly link: LossyLink;
  readonly a: Side;
  readonly b: Side;
  /** Called after every input with the effects carried out: for invariants. */
  afterStep: () => void = () => undefined;
  /** Times that a timer has gone off on either side. */
  timersFired = 0;
  readonly #agenda: { readonly at: number; readonly act: () => void }[] = [];

  constructor(seed = 1, options: PairOptions = {}) {
    const [a, b] = options.addresses ?? ["192.0.2.1", "192.0.2.2"];
    this.random = new SeededRandom(seed);
    this.link = new LossyLink(new SeededRandom(seed + 1));
    this.a = new Side("a", a, { ...TEST_OPTIONS, ...options.a }, new SeededRandom(seed + 2));
    this.b = new Side("b", b, { ...TEST_OPTIONS, ...options.b }, new SeededRandom(seed + 3));
  }

  give(side: Side, input: Input): void {
    const now = this.clock.now() + side.clockAheadMs;
    this.carryOut(side, side.endpoint.handle(input, now, now + side.wallAheadMs));
    const undone = leftUndone(side.engine, now);
    if (undone.length > 0) throw new Error(`After ${input.kind}, ${side.name} is not settled: ${undone.join("; ")}`);
  }

  /** What `side`'s endpoint has asked for. */
  carryOut(side: Side, effects: readonly Effect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case "transmit":
          this.link.send(
            effect.local ?? { address: side.address, port: effect.encapsulated ? 4500 : 500 },
            effect.remote,
            effect.bytes,
            this.clock.now(),
            effect.dontFragment ?? false,
          );
          break;
        case "installSa":
          this.#install(side, effect.sa);
          break;
        case "deleteSa": {
          const books = effect.direction === "inbound" ? side.inbound : side.outbound;
          if (!books.delete(effect.spi)) side.bookkeeping.push(`deleted ${effect.direction} ${effect.spi}, which is not there`);
          break;
        }
        case "updateSa":
          if (!(effect.direction === "inbound" ? side.inbound : side.outbound).has(effect.spi))
            side.bookkeeping.push(`updated ${effect.spi}, which is not there`);
          break;
        case "installPolicy":
          side.policies.set(effect.policy.id, effect.policy);
          break;
        case "deletePolicy":
          if (!side.policies.delete(effect.id)) side.bookkeeping.push(`deleted policy ${effect.id}, which is not there`);
          break;
        case "event":
          side.events.push(effect.event);
          break;
        case "trace":
          side.trace.push(effect.entry.read());
          break;
        case "askRevocation":
          side.questions.push(effect.query);
          side.onQuestion(effect.query);
          break;
        case "natKeepalive":
          break;
        case "setPathMtu":
          side.pathMtus.push(effect.octets);
          break;
        default:
          assertNever(effect);
      }
    }
    for (const { id, action } of side.policies.values()) {
      if (action.kind !== "protect") continue;
      for (const spi of [action.spi, ...(action.workerSpis ?? [])])
        if (spi !== null && !side.outbound.has(spi)) side.bookkeeping.push(`policy ${id} points at ${spi}, which is not there`);
    }
    this.afterStep();
  }

  /** Lets everything happen up to `durationMs` from now. */
  run(durationMs: number): void {
    this.runUntil(() => false, durationMs);
  }

  /** Runs until `done` holds; false if it does not within `limitMs`. */
  runUntil(done: () => boolean, limitMs = 120_000): boolean {
    const end = this.clock.now() + limitMs;
    for (let steps = 0; steps < 200_000; steps++) {
      if (done()) return true;
      const next = this.#nextTime();
      if (next === null || next > end) {
        this.clock.advanceTo(end);
        return done();
      }
      this.clock.advanceTo(next);
      this.#step();
    }
    throw new Error("The pair does not come to rest: a timer fires without getting anything done.");
  }

  bothUp(): boolean {
    return [this.a, this.b].every((side) => side.link().state === "up");
  }

  /** Delivers one packet into the books: what `firstInboundPacket` would say of traffic sent now under a's or b's policies. */
  sendTraffic(from: Side, policyId = "link/net"): boolean {
    const action = from.policies.get(policyId)?.action;
    if (action?.kind !== "protect") return false;
    const to = from === this.a ? this.b : this.a;
    const sa = to.inbound.get(action.spi);
    if (sa === undefined) return false;
    this.give(to, { kind: "firstInboundPacket", childSaId: sa.childSaId, spi: sa.spi });
    return true;
  }

  /** Has `act` done at `at`, before whatever else happens then. */
  schedule(at: number, act: () => void): void {
    this.#agenda.push({ at, act });
    this.#agenda.sort((one, other) => one.at - other.at);
  }

  #step(): void {
    const now = this.clock.now();
    const due = this.#agenda[0];
    if (due !== undefined && due.at <= now) {
      this.#agenda.shift();
      return due.act();
    }
    const packet = this.link.take(now);
    if (packet !== null) {
      const side = [this.a, this.b].find((one) => one.address === packet.to.address);
      if (side !== undefined) this.give(side, { kind: "datagram", local: packet.to, remote: packet.from, bytes: packet.bytes.slice() });
      return;
    }
    for (const side of [this.a, this.b]) {
      const at = this.#timerOf(side);
      if (at !== null && at <= now) {
        this.timersFired++;
        return this.give(side, { kind: "timer" });
      }
    }
  }

  #nextTime(): number | null {
    const times = [this.#agenda[0]?.at ?? null, this.link.nextArrival(), this.#timerOf(this.a), this.#timerOf(this.b)].filter((at) => at !== null);
    return times.length === 0 ? null : Math.min(...times);
  }

  /** By the pair's clock. */
  #timerOf(side: Side): number | null {
    const timer = side.endpoint.nextTimer();
    return timer === null ? null : timer.at - side.clockAheadMs;
  }

  #install(side: Side, sa: InboundSa | OutboundSa): void {
    const isKnown = sa.direction === "inbound" ? side.inbound.has(sa.spi) : side.outbound.has(sa.spi);
    if (isKnown) side.bookkeeping.push(`installed ${sa.direction} ${sa.spi} twice`);
    if (sa.direction === "inbound") side.inbound.set(sa.spi, sa);
    else side.outbound.set(sa.spi, sa);
  }
}

const SECRET = new TextEncoder().encode("a pre-shared key of the tests");

/** Both ends of one link between 10.1.0.0/24 (a) and 10.2.0.0/24 (b); `both`, `a` and `b` overwrite. */
export function linkConfigs(overrides: { readonly both?: Partial<LinkConfig>; readonly a?: Partial<LinkConfig>; readonly b?: Partial<LinkConfig> } = {}): {
  readonly a: LinkConfig;
  readonly b: LinkConfig;
} {
  const common = {
    id: "link",
    remotePort: 500,
    credentials: { method: "psk" as const, keys: [{ id: "k1", secret: SECRET }], use: "k1" },
    ikeProposals: ["aes256gcm16-prfsha384-x25519"],
    espProposals: ["aes256gcm16"],
    ikeRekeyMs: 14_400_000,
    reauthenticateMs: 0,
    livenessMs: 30_000,
    childRekeyMs: 3_600_000,
    replayWindowPackets: 128,
    forceEncapsulation: false,
  };
  const netA = fromPrefix("10.1.0.0/24");
  const netB = fromPrefix("10.2.0.0/24");
  return {
    a: {
      ...common,
      initiate: "start",
      localAddress: "192.0.2.1",
      localIdentity: { kind: "fqdn", name: "a.example" },
      remoteAddresses: ["192.0.2.2"],
      remoteIdentity: { kind: "fqdn", name: "b.example" },
      children: [{ name: "net", localSelectors: [netA], remoteSelectors: [netB] }],
      ...overrides.both,
      ...overrides.a,
    },
    b: {
      ...common,
      initiate: "respond",
      localAddress: "192.0.2.2",
      localIdentity: { kind: "fqdn", name: "b.example" },
      remoteAddresses: ["192.0.2.1"],
      remoteIdentity: { kind: "fqdn", name: "a.example" },
      children: [{ name: "net", localSelectors: [netB], remoteSelectors: [netA] }],
      ...overrides.both,
      ...overrides.b,
    },
  };
}

/** A pair whose link is configured on both ends and up. */
export function establishedPair(seed = 1, overrides: Parameters<typeof linkConfigs>[0] = {}): Pair {
  const pair = new Pair(seed);
  const configs = linkConfigs(overrides);
  pair.give(pair.b, { kind: "setLink", link: configs.b });
  pair.give(pair.a, { kind: "setLink", link: configs.a });
  if (!pair.runUntil(() => pair.bothUp(), 60_000)) {
    throw new Error(`The pair (seed ${seed}) did not come up: ${[...pair.a.failures(), ...pair.b.failures()].join("; ")}`);
  }
  return pair;
}

function assertNever(value: never): never {
  throw new TypeError(`Unreachable: ${JSON.stringify(value)}`);
}
