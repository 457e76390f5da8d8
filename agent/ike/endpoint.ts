import type { UdpEndpoint } from "../ipsec/security-association.ts";
import { IkeProtocolError } from "../wire/ikev2/protocol-error.ts";
import { recordFailure } from "./diagnosis/failure.ts";
import type { Effect, EndpointOptions, IkeEndpoint, Input, Instant, LinkSnapshot, RandomSource } from "./endpoint-types.ts";
import type { Link } from "./ike-sa.ts";
import { wake } from "./link-upkeep.ts";
import { commandLink, rekeyLink, removeLink, setLink, want } from "./link.ts";
import { moveRemote, onRevocationChanged, receiveDatagram } from "./receive.ts";
import { reschedule, settle } from "./settle.ts";
import { snapshotLinks } from "./snapshot.ts";
import type { Timer } from "./timer-queue.ts";
import { earliestTimer, runTimers } from "./timers.ts";
import { statelessCookie } from "./stateless-cookie.ts";
import { traceChoice } from "./trace.ts";
import { childNameOf, linkIdOf, sendOver } from "./traffic-policy.ts";
import { type EngineState, findChild, linkById, newEngineState, newTurn, type Turn } from "./turn.ts";
import { deleteIkeUnheard } from "./v2/informational.ts";
import { onPacketTooBig } from "./v2/path-probe.ts";
import { postpone } from "./v2/retry.ts";

/**
 * The IKEv2 engine (RFC 7296) without I/O: every input comes in through `handle` with the time, and leaves as effects in the
 * order in which they must be carried out. Holds all links and SAs of one gateway.
 */
export class Endpoint implements IkeEndpoint {
  readonly #engine: EngineState;

  /** `engine`: given by who wants to look inside; nobody else changes it. */
  constructor(options: EndpointOptions, random: RandomSource, engine: EngineState = newEngineState(options, random)) {
    this.#engine = engine;
  }

  /**
   * Throws only for a bug, or for a `setLink` whose proposals `parseProposal` refuses (nothing has changed then). A peer's
   * mistakes end here.
   */
  handle(input: Input, now: Instant, wallNow: Instant = now): Effect[] {
    const turn = newTurn(this.#engine, now, wallNow);
    try {
      take(turn, input);
      settle(turn);
    } finally {
      reschedule(turn);
    }
    return turn.effects;
  }

  answerAtOnce(datagram: Uint8Array, remote: UdpEndpoint, now: Instant): Uint8Array | null {
    return statelessCookie(this.#engine, datagram, remote, now);
  }

  nextTimer(): Timer | null {
    return earliestTimer(this.#engine);
  }

  snapshot(_now: Instant): LinkSnapshot[] {
    return snapshotLinks(this.#engine);
  }
}

function take(turn: Turn, input: Input): void {
  switch (input.kind) {
    case "datagram":
      return receiveAny(turn, input);
    case "timer":
      return runTimers(turn);
    case "setLink":
      return setLink(turn, input.link);
    case "removeLink":
      return removeLink(turn, input.linkId);
    case "up":
    case "down":
    case "restart":
    case "reauthenticate":
      return withLink(turn, input.linkId, (link) => commandLink(turn, link, input.kind));
    case "rekey":
      return withLink(turn, input.linkId, (link) => rekeyLink(turn, link, input.what));
    case "firstInboundPacket":
      return onFirstInboundPacket(turn, input.childSaId);
    case "expire":
      return onExpire(turn, input.childSaId, input.hard);
    case "natMappingChanged": {
      const found = findChild(turn, input.childSaId);
      return found === null ? undefined : moveRemote(turn, found.sa, input.remote);
    }
    case "acquire":
      return onAcquire(turn, input.policyId);
    case "installFailed":
      return onInstallFailed(turn, input.childSaId, input.reason);
    case "packetTooBig":
      return onPacketTooBig(turn, input.remote, input.quoted, input.mtu);
    case "revocationChanged":
      return onRevocationChanged(turn);
    case "shutdown":
      return shutdown(turn);
    default:
      return assertNever(input);
  }
}

function receiveAny(turn: Turn, { bytes, local, remote }: Extract<Input, { kind: "datagram" }>): void {
  try {
    receiveDatagram(turn, bytes, local, remote);
  } catch (error) {
    // Unauthenticated rubbish: dropped without an answer (RFC 7296 §2.21). It leaves no trace either, or anyone could fill it.
    if (!(error instanceof IkeProtocolError)) throw error;
  }
}

function withLink(turn: Turn, linkId: string, command: (link: Link) => void): void {
  const link = linkById(turn, linkId);
  if (link === null) traceChoice(turn, linkId, "COMMAND", "There is no such link.");
  else command(link);
}

/** The peer sends on the new SA, so it has the whole of it: from now on so do we. */
function onFirstInboundPacket(turn: Turn, childSaId: string): void {
  const found = findChild(turn, childSaId);
  const link = found === null ? null : linkById(turn, found.sa.linkId);
  if (found === null || link === null || found.child.state.kind !== "established") return;
  found.child.answer = null;
  sendOver(turn, link, found.child);
}

/** Bytes or packets are used up: the soft limit rekeys, the hard one ends the SA. */
function onExpire(turn: Turn, childSaId: string, hard: boolean): void {
  const found = findChild(turn, childSaId);
  if (found === null || found.child.state.kind !== "established") return;
  found.child.rekeyAt = null;
  found.sa.window.queue.push({ kind: hard ? "deleteChild" : "rekeyChild", childSaId });
}

function onAcquire(turn: Turn, policyId: string): void {
  const link = linkById(turn, linkIdOf(policyId));
  if (link !== null) wake(turn, link, childNameOf(policyId));
}

function onInstallFailed(turn: Turn, childSaId: string, reason: string): void {
  const found = findChild(turn, childSaId);
  if (found === null) return;
  recordFailure(turn, found.sa.linkId, "DATA_PLANE", {
    code: "INSTALL_FAILED",
    sentence: `The data plane refused the Child SA "${found.child.name}": ${reason}`,
  });
  found.child.state = { kind: "deleting" };
  found.sa.window.queue.push({ kind: "deleteChild", childSaId });
  // What was refused once is likely to be refused again.
  const link = linkById(turn, found.sa.linkId);
  if (link !== null) postpone(turn, link);
}

function shutdown(turn: Turn): void {
  for (const link of [...turn.engine.links.values()]) want(turn, link, "down");
  for (const sa of [...turn.engine.ikeSas.values()]) if (sa.phase.kind !== "closed") deleteIkeUnheard(turn, sa);
}

function assertNever(value: never): never {
  throw new TypeError(`Unreachable: ${JSON.stringify(value)}`);
}
