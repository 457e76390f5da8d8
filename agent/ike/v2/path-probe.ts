import { ExchangeType, NotifyType } from "../../wire/iana.ts";
import { serializePayloads } from "../../wire/ikev2/message.ts";
import type { IkeSpi, Payload } from "../../wire/ikev2/message-types.ts";
import { readU32, readU64 } from "../../wire/octets.ts";
import { establishedPhase, type IkeSa } from "../ike-sa.ts";
import { headerOf, holdOutstanding, notify, transmitTo } from "../messaging.ts";
import type { Path } from "../path-index.ts";
import { LARGEST_PACKET, type PathSearch } from "../path-search.ts";
import { sealMessage } from "../session.ts";
import type { ActiveTask } from "../task.ts";
import { traceChoice, traceMessage } from "../trace.ts";
import { type EngineState, ikeSaBySpi, touchIkeSa, type Turn } from "../turn.ts";

/*
 * Probes of the path (path-search.ts): an INFORMATIONAL request, padded by a status notify of the private range, which a peer passes over (RFC 7296
 * §3.10.1) and answers as it answers any. It goes out once, not to be fragmented. When no answer comes in time the empty request takes its place
 * under the same message id: so the exchange ends in any case, and a probe that was too large breaks nothing. RFC 7296 §2.1 wants the same octets again;
 * but those have either not arrived, or were answered, and then the peer repeats its answer by the message id. Fragments (RFC 7383 §2.5.2) would be to the
 * letter, but strongSwan takes none of an INFORMATIONAL.
 */
const UDP_OCTETS = 8;
const MARKER_OCTETS = 4;
const LOST_MS = 10_000;
/** The most that padding to whole blocks can be off. */
const BLOCK_OCTETS = 16;

/** Whether an IKE SA may search its path. */
export function canProbe({ options, links }: EngineState, sa: IkeSa): boolean {
  const link = sa.linkId === null ? undefined : links.get(sa.linkId);
  return options.probesPaths === true && link?.isProbed === true && establishedPhase(sa)?.successor === null;
}

type Probe = Extract<ActiveTask, { kind: "pathProbe" }>;

export function beginPathProbe(turn: Turn, sa: IkeSa): void {
  const session = establishedPhase(sa)?.session ?? null;
  const { path } = sa;
  if (session === null || path === null) return;
  const header = headerOf(sa, ExchangeType.INFORMATIONAL, sa.window.nextSend, false);
  const outer = (sa.remote.address.includes(":") ? 40 : 20) + UDP_OCTETS + (isOnNatPort(turn, sa) ? MARKER_OCTETS : 0);
  const sealed = (payloads: readonly Payload[]) => {
    const plain = serializePayloads(payloads);
    const [datagram] = sealMessage(session, sa.role, header, plain, LARGEST_PACKET);
    return { plain, datagram: datagram ?? new Uint8Array(0) };
  };
  const padded = (octets: number) => sealed([notify(NotifyType.PATH_PROBE, new Uint8Array(Math.max(0, octets)))]);
  // What comes around the padding is learned from a message without any; of a suite with whole blocks that may be some octets too large.
  const { search } = path;
  const room = search.probe - outer - padded(0).datagram.length;
  const probe = [padded(room), padded(room - BLOCK_OCTETS)].find(({ datagram }) => outer + datagram.length <= search.probe);
  if (probe === undefined) return;
  traceMessage(turn, sa.linkId, "sent", header, probe.plain);
  // Its answer sets another time, unless it gets lost with an IKE SA that has been rekeyed meanwhile.
  search.nextAt = turn.now + LOST_MS;
  const task = { kind: "pathProbe", path, octets: outer + probe.datagram.length, hasFailed: false } as const;
  const sendProbe = () => transmitTo(turn, sa.local, sa.remote, probe.datagram, true);
  holdOutstanding(turn, sa, ExchangeType.INFORMATIONAL, [sealed([]).datagram], task, sendProbe);
}

/** An answer, to the probe itself or to its repetition. */
export function finishPathProbe(turn: Turn, sa: IkeSa, { path, octets, hasFailed }: Probe): void {
  if (!hasFailed) change(turn, sa, path, (search) => search.passed(octets, turn.now));
}

/** No answer came in time, or a router has said why none will. */
export function failPathProbe(turn: Turn, sa: IkeSa, { path, octets }: Probe): void {
  change(turn, sa, path, (search) => search.failed(octets, turn.now));
}

/**
 * A router says that a packet of ours to `remote`, which began with `quoted` behind its UDP header (or, without one, its IP header), was too large and could
 * not be fragmented. Anyone can send that: it counts only if it quotes an SPI that nobody off the path knows (RFC 4301 §8.2.1).
 */
export function onPacketTooBig(turn: Turn, remote: string, quoted: Uint8Array, mtu: number): void {
  const sa = quotedIkeSa(turn, remote, quoted) ?? quotedEspOwner(turn, remote, quoted);
  if (sa === null) return;
  const { path } = sa;
  if (path === null) return;
  touchIkeSa(turn, sa);
  change(turn, sa, path, (search) => search.told(mtu, turn.now));
  const outstanding = path.prober?.window.outstanding ?? null;
  if (outstanding?.task.kind !== "pathProbe" || outstanding.task.path !== path || outstanding.task.hasFailed || outstanding.task.octets <= mtu) return;
  outstanding.task.hasFailed = true;
  outstanding.nextAt = turn.now;
}

function quotedIkeSa(turn: Turn, remote: string, quoted: Uint8Array): IkeSa | null {
  const at = quoted.length >= MARKER_OCTETS && readU32(quoted, 0) === 0 ? MARKER_OCTETS : 0;
  if (quoted.length < at + 16) return null;
  const [spiI, spiR] = [readU64(quoted, at) as IkeSpi, readU64(quoted, at + 8) as IkeSpi];
  const sa = ikeSaBySpi(turn, spiI) ?? ikeSaBySpi(turn, spiR);
  return sa !== null && sa.spiI === spiI && sa.spiR === spiR && sa.remote.address === remote ? sa : null;
}

function quotedEspOwner(turn: Turn, remote: string, quoted: Uint8Array): IkeSa | null {
  if (quoted.length < 4) return null;
  const spi = readU32(quoted, 0);
  for (const sa of turn.engine.ikeSas.values()) {
    if (sa.remote.address !== remote) continue;
    const children = establishedPhase(sa)?.children.values() ?? [];
    if ([...children].some((child) => child.outboundSpi === spi)) return sa;
  }
  return null;
}

/** What is learned of the path by one of its IKE SAs holds for every SA over it. */
function change(turn: Turn, { linkId }: IkeSa, { remote, search, prober }: Path, learn: (search: PathSearch) => void): void {
  learn(search);
  // Whose probe may be due at another time now.
  if (prober !== null) touchIkeSa(turn, prober);
  const { size } = search;
  if (size === search.announced) return;
  search.announced = size;
  turn.effects.push({ kind: "setPathMtu", remote, octets: size });
  traceChoice(turn, linkId, "INFORMATIONAL", `The path to ${remote} takes packets of ${size} octets.`);
}

function isOnNatPort(turn: Turn, sa: IkeSa): boolean {
  return sa.local?.port === turn.engine.options.natPort;
}
