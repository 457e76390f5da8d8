import { nameOf, ProtocolId, TransformType } from "../../wire/iana.ts";
import type { Proposal, Transform } from "../../wire/ikev2/message-types.ts";
import { describeOffer, describeSpecs, firstDifference, offer } from "../negotiation/choose-proposal.ts";
import { formatKex, type ProposalSpec } from "../negotiation/proposal-keywords.ts";
import type { Difference } from "./facts.ts";
import type { Failure } from "./failure.ts";

/* NO_PROPOSAL_CHOSEN and INVALID_KE_PAYLOAD in plain words: which lists, and where they part. */

type Protocol = "IKE" | "ESP" | "AH";

/** IKE_AUTH carries no group for its Child SA (RFC 7296 §1.2), so one end may want PFS that the other refuses and nobody notices. */
const PFS_SHOWS_LATE = " The first Child SA takes its keys from the IKE SA, so a difference in PFS groups only shows at a rekey.";

/** This side refuses the peer's offer. `withKex`: the exchange negotiates a group. */
export function noCommonProposal(
  protocol: Protocol,
  offered: readonly Proposal[],
  specs: readonly ProposalSpec[],
  withKex: boolean,
  atRekey: boolean,
): Failure {
  const [other] = offered;
  if (other !== undefined && offered.every(({ protocolId }) => protocolId !== PROTOCOL_IDS[protocol]))
    return otherProtocol(protocol, nameOf(ProtocolId, other.protocolId));
  const differences = nearestDifferences(offered, specs, withKex);
  const [theirs, ours] = [describeOffer(offered), describeSpecs(specs)];
  const sentence = `No common ${protocol} proposal${atRekey ? " at the rekey" : ""}: the peer offers ${theirs}; this side allows ${ours} (${firstDifference(offered, specs, withKex)}).`;
  const late = protocol !== "IKE" && atRekey && differences.some((one) => one.kind === "key exchange") ? PFS_SHOWS_LATE : "";
  return {
    code: "NO_PROPOSAL_CHOSEN",
    sentence: `${sentence}${late}`,
    facts: { cause: "proposals", protocol, offered: theirs, allowed: ours, differences, atRekey },
  };
}

const PROTOCOL_IDS: Readonly<Record<Protocol, number>> = ProtocolId;

function otherProtocol(allowed: Protocol, offered: string): Failure {
  return {
    code: "NO_PROPOSAL_CHOSEN",
    sentence: `The peer offers ${offered}; this side allows ${allowed} only.`,
    facts: { cause: "protocols", offered, allowed },
  };
}

/** What both allow needs IKE_INTERMEDIATE (RFC 9242), which the peer does not announce. */
export function intermediateMissing(): Failure {
  return {
    code: "NO_PROPOSAL_CHOSEN",
    sentence:
      "Every IKE proposal of the peer that this side allows has additional key exchanges, and the peer does not announce IKE_INTERMEDIATE, which carries them.",
    facts: { cause: "intermediateMissing" },
  };
}

/** What a peer answers as well when it has no link for whoever asks (RFC 7296 §2.7 has no other notify for it), and does not tell a stranger. */
const OR_NO_LINK = " Or it has no link for this gateway: it may be down there, deleted, not applied yet, or between other addresses.";

/** The peer refuses this side's offer and does not say why. `offered` in keywords. */
export function proposalsRefused(protocol: Protocol, offered: string, atRekey: boolean, hasGroup: boolean): Failure {
  const what = atRekey
    ? `The peer accepts none of the ${protocol} proposals that this side offered at the rekey`
    : `The peer accepts none of the ${protocol} proposals that this side offered`;
  const late = protocol !== "IKE" && atRekey && hasGroup ? " It may want another PFS group or none, which only shows at a rekey." : "";
  const reason = protocol === "IKE" && !atRekey ? OR_NO_LINK : late;
  return { code: "NO_PROPOSAL_CHOSEN", sentence: `${what}: ${offered}.${reason}`, facts: { cause: "proposalsRefused", protocol, offered, atRekey } };
}

/** The peer wants a key exchange method that this side does not offer. `offered` in keywords. */
export function groupRefused(protocol: Protocol, wanted: number, offered: string, atRekey: boolean): Failure {
  const group = formatKex(wanted);
  const late = protocol !== "IKE" && atRekey ? PFS_SHOWS_LATE : "";
  return {
    code: "INVALID_KE_PAYLOAD",
    sentence: `The peer wants the key exchange ${group}, which this side does not offer (${offered}).${late}`,
    facts: { cause: "groupRefused", protocol, wanted: group, offered, atRekey },
  };
}

/** Every transform type in which the offer that comes nearest to one of `specs` parts from it. */
function nearestDifferences(offered: readonly Proposal[], specs: readonly ProposalSpec[], withKex: boolean): readonly Difference[] {
  let nearest: readonly Difference[] | null = null;
  for (const theirs of offered) {
    for (const ours of offer(specs, new Uint8Array(0), withKex)) {
      if (ours.protocolId !== theirs.protocolId) continue;
      const found = differencesOf(theirs.transforms, ours.transforms, withKex);
      if (nearest === null || found.length < nearest.length) nearest = found;
    }
  }
  return nearest ?? [];
}

function differencesOf(theirs: readonly Transform[], ours: readonly Transform[], withKex: boolean): Difference[] {
  const types = new Set([...theirs, ...ours].map((one) => one.type));
  if (!withKex) types.delete(TransformType.KE);
  return [...types]
    .toSorted((a, b) => a - b)
    .flatMap((type) => {
      const [a, b] = [theirs, ours].map((list) => list.filter((one) => one.type === type));
      if (hasCommon(a!, b!)) return [];
      return [{ kind: KINDS[type] ?? `transform type ${type}`, offered: a!.map(keyword), allowed: b!.map(keyword) }];
    });
}

/** NONE is as good as no transform of the type (RFC 7296 §3.3.2). */
function hasCommon(a: readonly Transform[], b: readonly Transform[]): boolean {
  const allowsNone = (list: readonly Transform[]): boolean => list.length === 0 || list.some((one) => one.id === 0);
  if (a.some((one) => b.some((other) => one.id === other.id && one.keyLengthBits === other.keyLengthBits))) return true;
  return allowsNone(a) && allowsNone(b);
}

function keyword(transform: Transform): string {
  if (transform.type === TransformType.ESN) return transform.id === 0 ? "noesn" : "esn";
  return describeOffer([{ number: 1, protocolId: 0, spi: new Uint8Array(0), transforms: [transform] }]);
}

const KINDS: Readonly<Record<number, string>> = {
  [TransformType.ENCR]: "encryption",
  [TransformType.PRF]: "PRF",
  [TransformType.INTEG]: "integrity",
  [TransformType.KE]: "key exchange",
  [TransformType.ESN]: "extended sequence numbers",
  ...Object.fromEntries([1, 2, 3, 4, 5, 6, 7].map((number) => [TransformType.ADDKE1 + number - 1, `additional key exchange ${number}`])),
};
