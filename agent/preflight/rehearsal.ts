import { Endpoint } from "../ike/endpoint.ts";
import type { Effect, IkeEvent, Input, LinkSnapshot, RandomSource, TraceRecord } from "../ike/endpoint-types.ts";
import type { UdpEndpoint } from "../ipsec/security-association.ts";
import { endpointDefaults } from "../runtime/endpoint-options.ts";
import { forcesEncapsulation, toLinkConfig } from "../runtime/link-config.ts";
import type { Draft } from "./draft.ts";
import { isLiteral, type Place, placesOf } from "./places.ts";

/*
 * Both ends' real negotiators, in memory and on virtual time: what each sends goes to the other if it is sent to where the other
 * listens. Nothing leaves the process, no data plane exists, and a minute of retransmissions takes no time.
 */

/** How long one message is under way. */
const DELAY_MS = 10;
/** All retransmissions of one request are over by then. */
const PATIENCE_MS = 60_000;
/** After a failure, time for the other end to hear of it. */
const AFTERWARDS_MS = 3_000;
/** Far more than any exchange takes: two ends that never come to rest are a fault of the engine. */
const MOST_STEPS = 20_000;

/** One end in the rehearsal. */
export interface Player {
  readonly draft: Draft;
  readonly place: Place;
  readonly endpoint: Endpoint;
  readonly trace: TraceRecord[];
  readonly events: IkeEvent[];
  /** Where it sent what nobody listens for. */
  readonly lost: UdpEndpoint[];
}

export interface Rehearsal {
  readonly a: Player;
  readonly b: Player;
  /** The links as they were after the handshake, before anything was rekeyed; null: they did not come up. */
  readonly agreed: { readonly a: LinkSnapshot; readonly b: LinkSnapshot } | null;
  /** After everything has been rekeyed once from either side. */
  readonly rekeyed: { readonly a: LinkSnapshot; readonly b: LinkSnapshot } | null;
}

/**
 * Sets both ends up, lets them negotiate, and rekeys everything once from either side: some differences only show there. `now`:
 * the time at which certificates are looked at.
 */
export function rehearse(a: Draft, b: Draft, now: number, random: RandomSource): Rehearsal {
  const stage = new Stage(a, b, now, random);
  stage.begin();
  stage.runUntil(() => stage.isUp() || stage.hasFailed(), PATIENCE_MS);
  stage.runUntil(() => false, stage.isUp() ? DELAY_MS * 10 : AFTERWARDS_MS);
  const [playerA, playerB] = [stage.a, stage.b];
  if (!stage.isUp()) return { a: playerA, b: playerB, agreed: null, rekeyed: null };
  const agreed = stage.snapshots();
  for (const player of [playerA, playerB]) {
    stage.give(player, { kind: "rekey", linkId: player.draft.link.id, what: "all" });
    stage.runUntil(() => false, AFTERWARDS_MS);
  }
  return { a: playerA, b: playerB, agreed, rekeyed: stage.snapshots() };
}

interface Parcel {
  readonly at: number;
  readonly to: Player;
  readonly local: UdpEndpoint;
  readonly remote: UdpEndpoint;
  readonly bytes: Uint8Array;
}

class Stage {
  readonly a: Player;
  readonly b: Player;
  #now: number;
  readonly #underway: Parcel[] = [];

  constructor(a: Draft, b: Draft, now: number, random: RandomSource) {
    const places = placesOf(a, b);
    this.#now = now;
    this.a = playerOf(a, places.a, random);
    this.b = playerOf(b, places.b, random);
  }

  /**
   * One begins, also when both would: the other is there when it is called, and there is one IKE SA to look at. Where both wait for a packet,
   * it is taken to come to the first that may call.
   */
  begin(): void {
    const callerIs = (initiate: "start" | "onDemand"): Player | undefined => [this.a, this.b].find((player) => player.draft.link.initiate === initiate);
    const caller = callerIs("start") ?? callerIs("onDemand") ?? this.a;
    const called = caller === this.a ? this.b : this.a;
    this.give(called, { kind: "setLink", link: { ...configOf(called, caller), initiate: "respond" } });
    this.give(caller, { kind: "setLink", link: { ...configOf(caller, called), initiate: "start" } });
  }

  give(player: Player, input: Input): void {
    for (const effect of player.endpoint.handle(input, this.#now)) this.#perform(player, effect);
  }

  runUntil(done: () => boolean, limitMs: number): void {
    const end = this.#now + limitMs;
    for (let steps = 0; steps < MOST_STEPS; steps++) {
      if (done()) return;
      const next = this.#nextTime();
      if (next === null || next > end) {
        this.#now = end;
        return;
      }
      this.#now = Math.max(this.#now, next);
      this.#step();
    }
    throw new Error("the two negotiators do not come to rest; this is a fault of the engine");
  }

  isUp(): boolean {
    return [this.a, this.b].every((player) => linkOf(player).state === "up");
  }

  hasFailed(): boolean {
    return [this.a, this.b].some((player) => player.events.some((event) => event.kind === "failed"));
  }

  snapshots(): { readonly a: LinkSnapshot; readonly b: LinkSnapshot } {
    return { a: linkOf(this.a), b: linkOf(this.b) };
  }

  #perform(player: Player, effect: Effect): void {
    if (effect.kind === "trace") player.trace.push(effect.entry.read());
    else if (effect.kind === "event") player.events.push(effect.event);
    else if (effect.kind === "transmit") this.#send(player, effect);
  }

  /** The other end gets it if it is there under that address and listens on that port. */
  #send(from: Player, { local, remote, bytes, encapsulated }: Extract<Effect, { kind: "transmit" }>): void {
    const to = from === this.a ? this.b : this.a;
    const { ikePort, natPort } = to.draft.gateway;
    if (remote.address !== to.place.outside || (remote.port !== ikePort && remote.port !== natPort)) {
      from.lost.push(remote);
      return;
    }
    const port = local?.port ?? (encapsulated ? from.draft.gateway.natPort : from.draft.gateway.ikePort);
    this.#underway.push({
      at: this.#now + DELAY_MS,
      to,
      local: { address: to.place.inside, port: remote.port },
      remote: { address: from.place.outside, port },
      bytes: bytes.slice(),
    });
  }

  #step(): void {
    const first = this.#underway[0];
    if (first !== undefined && first.at <= this.#now) {
      this.#underway.shift();
      return this.give(first.to, { kind: "datagram", local: first.local, remote: first.remote, bytes: first.bytes });
    }
    for (const player of [this.a, this.b]) {
      const timer = player.endpoint.nextTimer();
      if (timer !== null && timer.at <= this.#now) return this.give(player, { kind: "timer" });
    }
  }

  #nextTime(): number | null {
    const times = [this.#underway[0]?.at, this.a.endpoint.nextTimer()?.at, this.b.endpoint.nextTimer()?.at].filter((at) => at !== undefined);
    return times.length === 0 ? null : Math.min(...times);
  }
}

function playerOf(draft: Draft, place: Place, random: RandomSource): Player {
  const { ikePort, natPort } = draft.gateway;
  return { draft, place, endpoint: new Endpoint({ ...endpointDefaults, ikePort, natPort }, random), trace: [], events: [], lost: [] };
}

/** As the gateway would make it (docs/adr/0002). */
function configOf({ draft, place }: Player, other: Player) {
  const { address } = draft.link.remote;
  const remoteAddresses = address === undefined ? [] : [isLiteral(address) ? address : other.place.outside];
  return { ...toLinkConfig(draft.link, remoteAddresses, forcesEncapsulation(draft.link, ANY_PLANE)), localAddress: place.inside };
}

function linkOf(player: Player): LinkSnapshot {
  const found = player.endpoint.snapshot(0).find((one) => one.linkId === player.draft.link.id);
  if (found === undefined) throw new Error(`${player.draft.site} has no link ${player.draft.link.id}`);
  return found;
}

/** Which data plane a gateway will have is not known here: it is taken for one that has all that a link may ask for. */
const ANY_PLANE = {
  name: "any",
  encapsulations: ["udp", "none"],
  preferredEncapsulation: "udp",
  protocols: ["esp", "ah"],
  modes: ["tunnel", "transport"],
} as const;
