import { type Encr, Esn, Integ, Kex, type Prf, ProtocolId, TransformType } from "../../wire/iana.ts";
import type { Proposal, Transform } from "../../wire/ikev2/message-types.ts";
import { formatAlgorithms, formatCipher, formatInteg, formatKex, formatPrf, type ProposalSpec } from "./proposal-keywords.ts";

/* Offering proposals, choosing among a peer's and checking its choice (RFC 7296 §2.7, §3.3). */

export interface IkeSuite {
  readonly encr: Encr;
  readonly keyLengthBits: number | null;
  readonly integ: Integ;
  readonly prf: Prf;
  readonly kex: Kex;
}

export interface EspSuite {
  readonly encr: Encr;
  readonly keyLengthBits: number | null;
  readonly integ: Integ;
  readonly esn: Esn;
  /** NONE: keys come from the IKE SA alone (no PFS). */
  readonly kex: Kex;
}

export interface Choice<Suite> {
  readonly suite: Suite;
  /** The one proposal with the one transform of each type that goes into the answer; `spi` still the offer's. */
  readonly proposal: Proposal;
}

export const formatIkeSuite = (suite: IkeSuite): string => formatAlgorithms(suite);
export const formatEspSuite = (suite: EspSuite): string => formatAlgorithms(suite);

/** What goes into an SA payload: one proposal for each spec, numbered from 1. `withKex` false leaves PFS groups out (IKE_AUTH). */
export function offer(specs: readonly ProposalSpec[], spi: Uint8Array, withKex: boolean): Proposal[] {
  return specs.map((spec, index) => ({
    number: index + 1,
    protocolId: spec.protocol === "ike" ? ProtocolId.IKE : ProtocolId.ESP,
    spi,
    transforms: transformsOf(spec, withKex),
  }));
}

/**
 * The first proposal of the initiator that one of ours allows, and in it the initiator's first transform of each type that we
 * allow: its order decides, ours only restricts, so that both ends can predict the outcome from the offer. A key exchange
 * method for which the initiator has already sent a value is taken before others, which saves an INVALID_KE_PAYLOAD round.
 */
export function chooseIke(offered: readonly Proposal[], specs: readonly ProposalSpec[], keMethod: number): Choice<IkeSuite> | null {
  return choose(offered, specs, ProtocolId.IKE, true, keMethod, (t) => ({
    encr: t.encr.id as Encr,
    keyLengthBits: t.encr.keyLengthBits ?? null,
    integ: (t.integ?.id ?? Integ.NONE) as Integ,
    prf: t.prf!.id as Prf,
    kex: t.kex!.id as Kex,
  }));
}

/** As `chooseIke`; `withKex` false in IKE_AUTH, where a Child SA takes its keys from the IKE SA (RFC 7296 §1.2). */
export function chooseEsp(offered: readonly Proposal[], specs: readonly ProposalSpec[], keMethod: number, withKex: boolean): Choice<EspSuite> | null {
  return choose(offered, specs, ProtocolId.ESP, withKex, keMethod, (t) => ({
    encr: t.encr.id as Encr,
    keyLengthBits: t.encr.keyLengthBits ?? null,
    integ: (t.integ?.id ?? Integ.NONE) as Integ,
    esn: (t.esn?.id ?? Esn.NONE) as Esn,
    kex: (t.kex?.id ?? Kex.NONE) as Kex,
  }));
}

/** The offer in keywords, alternatives joined by "/": for traces and failure sentences. */
export function describeOffer(proposals: readonly Proposal[]): string {
  return proposals.map((proposal) => describeTransforms(proposal.transforms)).join(", ") || "nothing";
}

export function describeSpecs(specs: readonly ProposalSpec[]): string {
  return specs.map((spec) => spec.text).join(", ");
}

/** One clause on where the offer that comes nearest to ours parts from it, e.g. "key exchange: offered modp1024, allowed x25519". */
export function firstDifference(offered: readonly Proposal[], specs: readonly ProposalSpec[], withKex: boolean): string {
  let best: { readonly matches: number; readonly clause: string } | null = null;
  for (const proposal of offered) {
    for (const spec of specs) {
      const ours = transformsOf(spec, withKex);
      let matches = 0;
      let clause: string | null = null;
      for (const type of [TransformType.ENCR, TransformType.INTEG, TransformType.PRF, TransformType.KE, TransformType.ESN]) {
        if (!withKex && type === TransformType.KE) continue;
        const theirs = proposal.transforms.filter((one) => one.type === type);
        const allowed = ours.filter((one) => one.type === type);
        if (typeMatches(theirs, allowed, type)) matches++;
        else clause ??= `${TYPE_NAMES[type]}: offered ${listTransforms(theirs)}, allowed ${listTransforms(allowed)}`;
      }
      if (clause !== null && (best === null || matches > best.matches)) best = { matches, clause };
    }
  }
  return best?.clause ?? "no proposal of this protocol was offered";
}

interface Chosen {
  readonly encr: Transform;
  readonly integ: Transform | null;
  readonly prf: Transform | null;
  readonly kex: Transform | null;
  readonly esn: Transform | null;
}

function choose<Suite>(
  offered: readonly Proposal[],
  specs: readonly ProposalSpec[],
  protocolId: number,
  withKex: boolean,
  keMethod: number,
  toSuite: (chosen: Chosen) => Suite,
): Choice<Suite> | null {
  for (const proposal of offered) {
    if (proposal.protocolId !== protocolId) continue;
    for (const spec of specs) {
      const chosen = match(proposal, spec, withKex, keMethod);
      if (chosen === null) continue;
      const transforms = [chosen.encr, chosen.prf, chosen.integ, chosen.kex, chosen.esn].filter((one) => one !== null);
      return { suite: toSuite(chosen), proposal: { ...proposal, transforms } };
    }
  }
  return null;
}

function match(proposal: Proposal, spec: ProposalSpec, withKex: boolean, keMethod: number): Chosen | null {
  const known = new Set<number>([TransformType.ENCR, TransformType.INTEG, TransformType.PRF, TransformType.KE, TransformType.ESN]);
  // RFC 7296 §3.3.6: a proposal with a transform type that is not understood is no match; RFC 9370's types allow NONE.
  for (const transform of proposal.transforms) {
    if (!known.has(transform.type) && !hasNone(proposal.transforms, transform.type)) return null;
  }
  const ours = transformsOf(spec, withKex);
  const chosen = new Map<number, Transform | null>();
  for (const type of known) {
    const theirs = proposal.transforms.filter((one) => one.type === type);
    if (!withKex && type === TransformType.KE) {
      chosen.set(type, null);
      continue;
    }
    const found = pick(
      theirs,
      ours.filter((one) => one.type === type),
      type,
      keMethod,
    );
    if (found === undefined) return null;
    chosen.set(type, found);
  }
  const encr = chosen.get(TransformType.ENCR);
  if (encr === null || encr === undefined) return null;
  const get = (type: number): Transform | null => chosen.get(type) ?? null;
  return { encr, integ: get(TransformType.INTEG), prf: get(TransformType.PRF), kex: get(TransformType.KE), esn: get(TransformType.ESN) };
}

/** Null: neither side wants a transform of this type. Undefined: no agreement. */
function pick(theirs: readonly Transform[], ours: readonly Transform[], type: number, keMethod: number): Transform | null | undefined {
  if (ours.length === 0) {
    if (theirs.length === 0) return null;
    // An offered NONE is as good as none, and the answer repeats it (RFC 7296 §3.3.2, §3.3.6).
    return theirs.find((one) => one.id === 0);
  }
  if (theirs.length === 0) return type === TransformType.ESN && ours.some((one) => one.id === Esn.NONE) ? null : undefined;
  const common = theirs.filter((one) => ours.some((other) => sameTransform(one, other)));
  if (type === TransformType.KE) return common.find((one) => one.id === keMethod) ?? common[0];
  return common[0];
}

function typeMatches(theirs: readonly Transform[], ours: readonly Transform[], type: number): boolean {
  return pick(theirs, ours, type, -1) !== undefined;
}

function sameTransform(a: Transform, b: Transform): boolean {
  return a.unknownAttributes === undefined && a.type === b.type && a.id === b.id && a.keyLengthBits === b.keyLengthBits;
}

function hasNone(transforms: readonly Transform[], type: number): boolean {
  return transforms.some((one) => one.type === type && one.id === 0);
}

function transformsOf(spec: ProposalSpec, withKex: boolean): Transform[] {
  const transforms: Transform[] = [];
  for (const cipher of spec.encr) {
    transforms.push({ type: TransformType.ENCR, id: cipher.id, ...(cipher.keyLengthBits === null ? {} : { keyLengthBits: cipher.keyLengthBits }) });
  }
  for (const id of spec.prf) transforms.push({ type: TransformType.PRF, id });
  for (const id of spec.integ) transforms.push({ type: TransformType.INTEG, id });
  if (withKex) for (const id of spec.kex) transforms.push({ type: TransformType.KE, id });
  for (const id of spec.esn) transforms.push({ type: TransformType.ESN, id });
  return transforms;
}

const TYPE_NAMES: Readonly<Record<number, string>> = {
  [TransformType.ENCR]: "encryption",
  [TransformType.INTEG]: "integrity",
  [TransformType.PRF]: "PRF",
  [TransformType.KE]: "key exchange",
  [TransformType.ESN]: "extended sequence numbers",
};

function describeTransforms(transforms: readonly Transform[]): string {
  const groups = [TransformType.ENCR, TransformType.INTEG, TransformType.PRF, TransformType.KE].map((type) =>
    transforms.filter((one) => one.type === type && one.id !== 0),
  );
  const words = groups.filter((group) => group.length > 0).map(listTransforms);
  if (transforms.some((one) => one.type === TransformType.ESN && one.id === Esn.ESN)) words.push("esn");
  return words.join("-");
}

function listTransforms(transforms: readonly Transform[]): string {
  return transforms.map(formatTransform).join("/") || "none";
}

function formatTransform(transform: Transform): string {
  switch (transform.type) {
    case TransformType.ENCR:
      return formatCipher(transform.id, transform.keyLengthBits ?? null);
    case TransformType.INTEG:
      return formatInteg(transform.id);
    case TransformType.PRF:
      return formatPrf(transform.id);
    case TransformType.KE:
      return formatKex(transform.id);
    case TransformType.ESN:
      return transform.id === Esn.ESN ? "esn" : "noesn";
    default:
      return `transform_${transform.type}_${transform.id}`;
  }
}
