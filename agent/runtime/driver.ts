import { eraseSaKeys } from "../crypto/sa-keys.ts";
import type { RevocationQuery } from "../crypto/revocation.ts";
import type { DataPlane, DataPlaneEvent, IkeDatagram } from "../dataplane/data-plane.ts";
import type { Effect, IkeEndpoint, IkeEvent, Input, TraceSource } from "../ike/endpoint-types.ts";
import type { InboundSa, OutboundSa, UdpEndpoint } from "../ipsec/security-association.ts";
import { addNonEspMarker } from "../wire/udp-encap.ts";
import type { Clock } from "./system-clock.ts";

/** Sends IKE from the IKE port (500). */
export interface IkeTransport {
  /** `local` null: from whatever address the route to the peer uses. */
  send(local: UdpEndpoint | null, remote: UdpEndpoint, bytes: Uint8Array): Promise<void>;
  /** From an address that a message has come to, without word of what becomes of it. */
  sendAtOnce(local: UdpEndpoint, remote: UdpEndpoint, bytes: Uint8Array): void;
  /** The address the route to `remote` starts from; null when there is no route. */
  localAddressFor(remote: string): string | null;
}

export interface DriverParts {
  readonly endpoint: IkeEndpoint;
  readonly plane: DataPlane;
  readonly transport: IkeTransport;
  readonly natPort: number;
  readonly clock: Clock;
  readonly onEvent: (event: IkeEvent) => void;
  readonly onTrace: (entry: TraceSource) => void;
  /** Somebody is to be asked whether a certificate is revoked; `revocationChanged` answers. */
  readonly onRevocationQuery: (query: RevocationQuery) => void;
  /** The plane is no more: everything must be set up anew. */
  readonly onPlaneFailed: (reason: string) => void;
  /** The plane has lost the SAs of a direction, a device with the routes into it, or a thread, and runs on. */
  readonly onPlaneFault: (fault: Extract<DataPlaneEvent, { kind: "sasLost" | "deviceReplaced" | "deviceLost" | "recovered" }>) => void;
  /** Sends a datagram that may not be fragmented on the way, or does not. Absent: there is none to send. */
  readonly sendWhole?: (local: UdpEndpoint, remote: UdpEndpoint, datagram: Uint8Array) => void;
  /** Something that went wrong outside the protocol: a send that failed, a bug in the engine. One sentence, no secrets. */
  readonly onFault: (sentence: string) => void;
}

interface Waiting {
  readonly input: Input;
  readonly settle: () => void;
}

const EARLY_DATAGRAMS = 256;
const LONGEST_TIMEOUT_MS = 2_147_483_647;

/** Messages handled together, at most: what the plane is asked for by one goes to its threads with what the others ask for. */
const TOGETHER = 32;

/**
 * Turns the sans-IO endpoint into a running one. Inputs pass through one queue; the effects of one input are carried out in
 * order and awaited before the next input is looked at, so a Child SA is installed before the message that invites traffic
 * leaves. Changes of the plane that follow each other are handed over together: the plane keeps their order. Messages that wait together are
 * handled together, for the word to a thread and back is as much work as a good part of a handshake; the effects of each still keep their order.
 */
export class Driver {
  readonly #parts: DriverParts;
  readonly #queue: Waiting[] = [];
  #isRunning = false;
  #timer: NodeJS.Timeout | null = null;
  #isStopped = false;
  /** Null once started. */
  #early: IkeDatagram[] | null = [];

  constructor(parts: DriverParts) {
    this.#parts = parts;
    parts.plane.onIkeDatagram((datagram) => this.receive(datagram));
    parts.plane.onEvent((event) => {
      switch (event.kind) {
        case "acquire":
        case "firstInboundPacket":
        case "expire":
          void this.submit(event);
          return;
        case "natMappingChanged":
          void this.submit({ kind: "natMappingChanged", childSaId: event.childSaId, remote: event.remote });
          return;
        case "packetTooBig":
          void this.submit(event);
          return;
        case "sasLost":
        case "deviceReplaced":
        case "deviceLost":
        case "recovered":
          parts.onPlaneFault(event);
          return;
        case "failed":
          parts.onPlaneFailed(event.reason);
          return;
        default:
          assertNever(event);
      }
    });
  }

  /** Takes a message of the network; before `start` it is kept. */
  receive(datagram: IkeDatagram): void {
    if (this.#early === null) this.#takeDatagram(datagram);
    else if (this.#early.length < EARLY_DATAGRAMS) this.#early.push(datagram);
  }

  #takeDatagram(datagram: IkeDatagram): void {
    const { endpoint, plane, transport, natPort, clock } = this.#parts;
    const answer = this.#isStopped ? null : endpoint.answerAtOnce(datagram.bytes, datagram.remote, clock.now());
    if (answer === null) void this.submit({ kind: "datagram", ...datagram });
    else if (datagram.local.port === natPort) plane.sendIkeDatagram({ local: datagram.local, remote: datagram.remote, bytes: answer });
    else transport.sendAtOnce(datagram.local, datagram.remote, answer);
  }

  /**
   * The links are set: messages may be answered. A peer that called while they were not would be told that there is no link
   * for it, and would believe that for a while.
   */
  start(): void {
    const early = this.#early ?? [];
    this.#early = null;
    for (const datagram of early) this.receive(datagram);
  }

  /** Resolves once the effects of this input have been carried out. Never rejects: faults go to `onFault`. */
  submit(input: Input): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
    return new Promise((settle) => {
      this.#queue.push({ input, settle });
      if (this.#isRunning) return;
      this.#isRunning = true;
      // What the sockets have besides is read first: it is handled together with this.
      setImmediate(() => void this.#drain());
    });
  }

  /** Sends the DELETEs, then takes no further input. */
  async shutdown(): Promise<void> {
    await this.submit({ kind: "shutdown" });
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (const waiting of this.#queue.splice(0)) waiting.settle();
  }

  async #drain(): Promise<void> {
    for (let together = this.#takeTogether(); together.length > 0; together = this.#takeTogether()) {
      await this.#performAll(together.map(({ input }) => this.#handle(input)));
      for (const { settle } of together) settle();
    }
    this.#isRunning = false;
    this.#armTimer();
  }

  #handle(input: Input): Effect[] {
    try {
      return this.#parts.endpoint.handle(input, this.#parts.clock.now(), this.#parts.clock.wallNow());
    } catch (error) {
      // A bug in the engine must be seen, and must not let one peer's message take every other tunnel down.
      this.#parts.onFault(`The IKE engine failed on ${describeInput(input)}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      return [];
    }
  }

  /** The next input, with the messages behind it if it is one. */
  #takeTogether(): Waiting[] {
    const isMessage = (waiting: Waiting | undefined) => waiting?.input.kind === "datagram";
    let count = Math.min(1, this.#queue.length);
    if (isMessage(this.#queue[0])) while (count < TOGETHER && isMessage(this.#queue[count])) count++;
    return this.#queue.splice(0, count);
  }

  /**
   * Each list in its order: changes of the plane up to something else, of all lists at once, then what comes up to the next change. A list's new SAs
   * overtake what lists before it have left to change, and nothing else does: both may be about one link, and an SA that ends must not do so
   * before its policy has gone to another.
   */
  async #performAll(lists: readonly (readonly Effect[])[]): Promise<void> {
    const open = lists.map((effects) => ({ effects, next: 0 }));
    while (open.some(({ effects, next }) => next < effects.length)) {
      // Nobody acts on a step of the trace, so it divides nothing.
      let isBehind = false;
      const changes = open.flatMap((list) => {
        const begun = this.#performWhile(list, (effect) => effect.kind === "trace" || effect.kind === "installSa" || (changesPlane(effect) && !isBehind));
        isBehind ||= list.effects.slice(list.next).some(changesPlane);
        return begun;
      });
      if (changes.length > 0) await Promise.all(changes);
      const sent = open.flatMap((list) => this.#performWhile(list, (effect) => !changesPlane(effect)));
      if (sent.length > 0) await Promise.all(sent);
    }
  }

  /** What is to be waited for. */
  #performWhile(list: { readonly effects: readonly Effect[]; next: number }, holds: (effect: Effect) => boolean): Promise<void>[] {
    const waiting: Promise<void>[] = [];
    for (let effect = list.effects[list.next]; effect !== undefined && holds(effect); effect = list.effects[++list.next]) {
      const done = this.#perform(effect);
      if (changesPlane(effect) || effect.kind === "transmit") waiting.push(done);
    }
    return waiting;
  }

  async #perform(effect: Effect): Promise<void> {
    const { plane, onEvent, onTrace, onFault } = this.#parts;
    try {
      switch (effect.kind) {
        case "transmit":
          return await this.#transmit(effect);
        case "setPathMtu":
          return await plane.setPathMtu?.(effect.remote, effect.octets);
        case "natKeepalive":
          return plane.sendNatKeepalive(effect.local, effect.remote);
        case "installSa":
          return await this.#install(effect.sa);
        case "updateSa":
          return await plane.updateSa(effect.direction, effect.spi, effect.remote);
        case "deleteSa":
          return await plane.deleteSa(effect.direction, effect.spi);
        case "installPolicy":
          return await plane.installPolicy(effect.policy);
        case "deletePolicy":
          return await plane.deletePolicy(effect.id);
        case "askRevocation":
          return this.#parts.onRevocationQuery(effect.query);
        case "event":
          return onEvent(effect.event);
        case "trace":
          return onTrace(effect.entry);
        default:
          assertNever(effect);
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      onFault(`${effect.kind} failed: ${reason}`);
      // The rest of this input's effects still runs; the engine then takes the Child SA down with the peer.
      if (effect.kind === "installSa")
        this.#queue.unshift({ input: { kind: "installFailed", childSaId: effect.sa.childSaId, reason }, settle: () => undefined });
    }
  }

  /** The plane has the keys then, or nobody needs them: they are not left in memory for as long as the SA lives. */
  async #install(sa: InboundSa | OutboundSa): Promise<void> {
    try {
      await this.#parts.plane.installSa(sa);
    } finally {
      eraseSaKeys(sa.keys);
    }
  }

  async #transmit(effect: Extract<Effect, { kind: "transmit" }>): Promise<void> {
    const { plane, transport, natPort } = this.#parts;
    if (effect.dontFragment === true) return this.#transmitWhole(effect);
    if (!effect.encapsulated) return transport.send(effect.local, effect.remote, effect.bytes);
    const address = effect.local?.address ?? transport.localAddressFor(effect.remote.address);
    if (address === null) throw new Error(`no route to ${effect.remote.address}`);
    plane.sendIkeDatagram({ local: { address, port: effect.local?.port ?? natPort }, remote: effect.remote, bytes: effect.bytes });
  }

  /** The kernel may refuse it, as a router may: then there is no answer. */
  #transmitWhole({ local, remote, bytes, encapsulated }: Extract<Effect, { kind: "transmit" }>): void {
    if (local !== null) this.#parts.sendWhole?.(local, remote, encapsulated ? addNonEspMarker(bytes) : bytes);
  }

  #armTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const next = this.#isStopped ? null : this.#parts.endpoint.nextTimer();
    if (next === null) return;
    const delay = Math.min(Math.max(next.at - this.#parts.clock.now(), 0), LONGEST_TIMEOUT_MS);
    this.#timer = setTimeout(() => void this.submit({ kind: "timer" }), delay);
  }
}

function changesPlane({ kind }: Effect): boolean {
  return kind === "installSa" || kind === "updateSa" || kind === "deleteSa" || kind === "installPolicy" || kind === "deletePolicy";
}

/** Names an input for a fault; a datagram is only measured, since it may hold anything. */
function describeInput(input: Input): string {
  if (input.kind === "datagram") return `a datagram of ${input.bytes.length} octets from ${input.remote.address}`;
  if (input.kind === "setLink") return `setLink ${input.link.id}`;
  return "linkId" in input ? `${input.kind} ${input.linkId}` : input.kind;
}

function assertNever(value: never): never {
  throw new Error(`Unexpected ${JSON.stringify(value)}`);
}
