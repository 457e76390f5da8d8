import { Encr, Esn, Integ, Kex, type Prf, ProtocolId, TransformType } from "../../wire/iana.ts";
import type { SaProtocol } from "../../ipsec/security-association.ts";
import type { Proposal, Transform } from "../../wire/ikev2/message-types.ts";
import { formatAdditionalKex, formatAlgorithms, formatCipher, formatInteg, formatKex, formatPrf, type ProposalSpec } from "./proposal-keywords.ts";

/* Offering proposals, choosing among a peer's and checking its choice (RFC 7296 §2.7, §3.3). */

/** One additional key exchange that was agreed on; those agreed to be NONE are left out (RFC 9370 §2.2.1). */
export interface AdditionalKex {
  /** 1 for transform type ADDKE1, up to 7: the order in which they take place. */
  readonly number: number;
  readonly method: Kex;
}

export interface IkeSuite {
  readonly encr: Encr;
  readonly keyLengthBits: number | null;
  readonly integ: Integ;
  readonly prf: Prf;
  readonly kex: Kex;
  readonly additional: readonly AdditionalKex[];
}

/** Of a Child SA, whichever protocol it has. */
export interface EspSuite {
  readonly protocol: SaProtocol;
  /** NULL with AH. */
  readonly encr: Encr;
  readonly keyLengthBits: number | null;
  readonly integ: Integ;
  readonly esn: Esn;
  /** NONE: keys come from the IKE SA alone (no PFS). */
  readonly kex: Kex;
  readonly additional: readonly AdditionalKex[];
}

export interface Choice<Suite> {
  readonly suite: Suite;
  /** The one proposal with the one transform of each type that goes into the answer; `spi` still the offer's. */
  readonly proposal: Proposal;
}

export const formatIkeSuite = (suite: IkeSuite): string => formatAlgorithms(suite);
export const formatEspSuite = (suite: EspSuite): string => formatAlgorithms(suite);

/** What goes into an SA payload: one proposal for each spec, numbered from 1. `withKex` false leaves all key exchanges out (IKE_AUTH). */
export function offer(specs: readonly ProposalSpec[], spi: Uint8Array, withKex: boolean): Proposal[] {
  return specs.map((spec, index) => ({
    number: index + 1,
    protocolId: PROTOCOL_IDS[spec.protocol],
    spi,
    transforms: transformsOf(spec, withKex),
  }));
}

/**
 * The first proposal of the initiator that one of ours allows, and in it the initiator's first transform of each type that we
 * allow: its order decides, ours only restricts, so that both ends can predict the outcome from the offer. A key exchange
 * method for which the initiator has already sent a value is taken before others, which saves an INVALID_KE_PAYLOAD round.
 * `allowAdditional` false: the other end cannot do additional key exchanges, so only proposals that need none are looked at.
 */
export function chooseIke(offered: readonly Proposal[], specs: readonly ProposalSpec[], keMethod: number, allowAdditional: boolean): Choice<IkeSuite> | null {
  return choose(offered, specs, { protocolId: ProtocolId.IKE, withKex: true, keMethod, allowAdditional }, (t) => ({
    encr: t.encr!.id as Encr,
    keyLengthBits: t.encr!.keyLengthBits ?? null,
    integ: (t.integ?.id ?? Integ.NONE) as Integ,
    prf: t.prf!.id as Prf,
    kex: t.kex!.id as Kex,
    additional: additionalOf(t),
  }));
}

/**
 * As `chooseIke`, for a Child SA of ESP or, when that is what `specs` are, of AH; `withKex` false in IKE_AUTH, where it takes its keys from the
 * IKE SA (RFC 7296 §1.2).
 */
export function chooseEsp(offered: readonly Proposal[], specs: readonly ProposalSpec[], keMethod: number, withKex: boolean): Choice<EspSuite> | null {
  const protocol = protocolOf(specs);
  return choose(offered, specs, { protocolId: PROTOCOL_IDS[protocol], withKex, keMethod, allowAdditional: true }, (t) => ({
    protocol,
    encr: (t.encr?.id ?? Encr.NULL) as Encr,
    keyLengthBits: t.encr?.keyLengthBits ?? null,
    integ: (t.integ?.id ?? Integ.NONE) as Integ,
    esn: (t.esn?.id ?? Esn.NONE) as Esn,
    kex: (t.kex?.id ?? Kex.NONE) as Kex,
    additional: additionalOf(t),
  }));
}

/** A link's Child SAs are all of one protocol. */
export function protocolOf(specs: readonly ProposalSpec[]): SaProtocol {
  return specs[0]?.protocol === "ah" ? "ah" : "esp";
}

/** As sentences call it. */
export function protocolName(specs: readonly ProposalSpec[]): "ESP" | "AH" {
  return protocolOf(specs) === "ah" ? "AH" : "ESP";
}

const PROTOCOL_IDS = { ike: ProtocolId.IKE, esp: ProtocolId.ESP, ah: ProtocolId.AH } as const;

/** Of the SAs of a Child SA, in DELETE and REKEY_SA (RFC 7296 §3.10, §3.11). */
export function protocolIdOf(protocol: SaProtocol): ProtocolId {
  return PROTOCOL_IDS[protocol];
}

/** Whether the keys also stem from ML-KEM. */
export function isPostQuantum({ additional }: Pick<IkeSuite, "additional">): boolean {
  return additional.some(({ method }) => isKem(method));
}

/** Whether a proposal asks for ML-KEM, if only as a choice. */
export function offersPostQuantum(specs: readonly ProposalSpec[]): boolean {
  return specs.some(({ additional }) => additional.some(({ methods }) => methods.some(isKem)));
}

function isKem(method: number): boolean {
  return method === Kex.ML_KEM_512 || method === Kex.ML_KEM_768 || method === Kex.ML_KEM_1024;
}

/** Whether one of our proposals allows exactly this suite: of the links that an address may mean, those that may use it. */
export function allowsIkeSuite(specs: readonly ProposalSpec[], suite: IkeSuite): boolean {
  const transforms: Transform[] = [
    { type: TransformType.ENCR, id: suite.encr, ...(suite.keyLengthBits === null ? {} : { keyLengthBits: suite.keyLengthBits }) },
    { type: TransformType.PRF, id: suite.prf },
    ...(suite.integ === Integ.NONE ? [] : [{ type: TransformType.INTEG, id: suite.integ }]),
    { type: TransformType.KE, id: suite.kex },
    ...suite.additional.map(({ number, method }) => ({ type: addkeType(number), id: method })),
  ];
  return chooseIke([{ number: 1, protocolId: ProtocolId.IKE, spi: new Uint8Array(0), transforms }], specs, suite.kex, true) !== null;
}

/** The offer in keywords, alternatives joined by "/": for traces and failure sentences. */
export function describeOffer(proposals: readonly Proposal[]): string {
  // Without their groups, as in IKE_AUTH, proposals may be the same.
  return [...new Set(proposals.map((proposal) => describeTransforms(proposal.transforms)))].join(", ") || "nothing";
}

export function describeSpecs(specs: readonly ProposalSpec[]): string {
  return specs.map((spec) => spec.text).join(", ");
}

/** One clause on where the offer that comes nearest to ours parts from it, e.g. "key exchange: offered modp1024, allowed x25519". */
export function firstDifference(offered: readonly Proposal[], specs: readonly ProposalSpec[], withKex: boolean): string {
  let best: { readonly matches: number; readonly clause: string } | null = null;
  for (const proposal of offered) {
    for (const spec of specs) {
      if (proposal.protocolId !== PROTOCOL_IDS[spec.protocol]) continue;
      const ours = transformsOf(spec, withKex);
      let matches = 0;
      let clause: string | null = null;
      for (const type of KNOWN_TYPES) {
        if (!withKex && isKexType(type)) continue;
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
  /** Null in AH. */
  readonly encr: Transform | null;
  readonly integ: Transform | null;
  readonly prf: Transform | null;
  readonly kex: Transform | null;
  readonly additional: readonly Transform[];
  readonly esn: Transform | null;
}

interface Circumstances {
  readonly protocolId: number;
  readonly withKex: boolean;
  readonly keMethod: number;
  readonly allowAdditional: boolean;
}

function additionalOf({ additional }: Chosen): AdditionalKex[] {
  return additional.filter((one) => one.id !== Kex.NONE).map((one) => ({ number: one.type - TransformType.ADDKE1 + 1, method: one.id as Kex }));
}

function choose<Suite>(
  offered: readonly Proposal[],
  specs: readonly ProposalSpec[],
  circumstances: Circumstances,
  toSuite: (chosen: Chosen) => Suite,
): Choice<Suite> | null {
  for (const proposal of offered) {
    if (proposal.protocolId !== circumstances.protocolId) continue;
    for (const spec of specs) {
      const chosen = match(proposal, spec, circumstances);
      if (chosen === null) continue;
      const transforms = [chosen.encr, chosen.prf, chosen.integ, chosen.kex, chosen.esn, ...chosen.additional].filter((one) => one !== null);
      return { suite: toSuite(chosen), proposal: { ...proposal, transforms } };
    }
  }
  return null;
}

function match(proposal: Proposal, spec: ProposalSpec, { withKex, keMethod, allowAdditional }: Circumstances): Chosen | null {
  // RFC 7296 §3.3.6: a proposal with a transform type that is not understood is no match.
  for (const transform of proposal.transforms) if (!KNOWN_TYPES.includes(transform.type)) return null;
  const ours = transformsOf(spec, withKex);
  const chosen = new Map<number, Transform | null>();
  for (const type of [TransformType.ENCR, TransformType.PRF, TransformType.INTEG, TransformType.ESN]) {
    const found = pick(ofType(proposal.transforms, type), ofType(ours, type), type);
    if (found === undefined) return null;
    chosen.set(type, found);
  }
  const exchanges = withKex ? pickExchanges(proposal.transforms, ours, keMethod, allowAdditional) : { kex: null, additional: [] };
  const encr = chosen.get(TransformType.ENCR);
  if (exchanges === null || encr === undefined || (encr === null && spec.protocol !== "ah")) return null;
  const get = (type: number): Transform | null => chosen.get(type) ?? null;
  return { encr, integ: get(TransformType.INTEG), prf: get(TransformType.PRF), esn: get(TransformType.ESN), ...exchanges };
}

/** The first key exchange and those that follow it: no method twice, but NONE (RFC 9370 §2.2.1). Null: no agreement. */
function pickExchanges(
  theirs: readonly Transform[],
  ours: readonly Transform[],
  keMethod: number,
  allowAdditional: boolean,
): { readonly kex: Transform | null; readonly additional: readonly Transform[] } | null {
  for (const kex of firstExchanges(ofType(theirs, TransformType.KE), ofType(ours, TransformType.KE), keMethod)) {
    const additional = pickAdditional(theirs, ours, ADDKE_TYPES, kex === null ? [] : [kex.id], allowAdditional && kex !== null && kex.id !== Kex.NONE);
    if (additional !== null) return { kex, additional };
  }
  return null;
}

/** In the order of preference; `null` alone when neither side wants one. */
function firstExchanges(theirs: readonly Transform[], ours: readonly Transform[], keMethod: number): readonly (Transform | null)[] {
  if (ours.length === 0) {
    const none = pick(theirs, ours, TransformType.KE);
    return none === undefined ? [] : [none];
  }
  const common = commonOf(theirs, ours);
  return common.toSorted((a, b) => Number(b.id === keMethod) - Number(a.id === keMethod));
}

function pickAdditional(
  theirs: readonly Transform[],
  ours: readonly Transform[],
  [type, ...rest]: readonly number[],
  used: readonly number[],
  allowed: boolean,
): readonly Transform[] | null {
  if (type === undefined) return [];
  for (const one of additionalChoices(ofType(theirs, type), ofType(ours, type), type)) {
    if (one !== null && one.id !== Kex.NONE && (!allowed || used.includes(one.id))) continue;
    const others = pickAdditional(theirs, ours, rest, one === null ? used : [...used, one.id], allowed);
    if (others !== null) return one === null ? others : [one, ...others];
  }
  return null;
}

/** Either side may leave the type out where the other allows NONE. */
function additionalChoices(theirs: readonly Transform[], ours: readonly Transform[], type: number): readonly (Transform | null)[] {
  const none: Transform = { type, id: Kex.NONE };
  if (theirs.length === 0) return ours.length === 0 || commonOf([none], ours).length > 0 ? [null] : [];
  return commonOf(theirs, ours.length === 0 ? [none] : ours);
}

function ofType(transforms: readonly Transform[], type: number): Transform[] {
  return transforms.filter((one) => one.type === type);
}

/** In their order, each id once. */
function commonOf(theirs: readonly Transform[], ours: readonly Transform[]): Transform[] {
  const common = theirs.filter((one) => ours.some((other) => sameTransform(one, other)));
  return common.filter((one, index) => common.findIndex((other) => other.id === one.id && other.keyLengthBits === one.keyLengthBits) === index);
}

/** Null: neither side wants a transform of this type. Undefined: no agreement. */
function pick(theirs: readonly Transform[], ours: readonly Transform[], type: number): Transform | null | undefined {
  if (ours.length === 0) {
    if (theirs.length === 0) return null;
    // An offered NONE is as good as none, and the answer repeats it (RFC 7296 §3.3.2, §3.3.6).
    return theirs.find((one) => one.id === 0);
  }
  if (theirs.length === 0) return type === TransformType.ESN && ours.some((one) => one.id === Esn.NONE) ? null : undefined;
  return commonOf(theirs, ours)[0];
}

function typeMatches(theirs: readonly Transform[], ours: readonly Transform[], type: number): boolean {
  return ADDKE_TYPES.includes(type) ? additionalChoices(theirs, ours, type).length > 0 : pick(theirs, ours, type) !== undefined;
}

function sameTransform(a: Transform, b: Transform): boolean {
  return a.unknownAttributes === undefined && a.type === b.type && a.id === b.id && a.keyLengthBits === b.keyLengthBits;
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
  if (withKex) for (const { number, methods } of spec.additional) for (const id of methods) transforms.push({ type: addkeType(number), id });
  return transforms;
}

function addkeType(number: number): number {
  return TransformType.ADDKE1 + number - 1;
}

const ADDKE_TYPES: readonly number[] = [1, 2, 3, 4, 5, 6, 7].map(addkeType);
const KNOWN_TYPES: readonly number[] = [TransformType.ENCR, TransformType.INTEG, TransformType.PRF, TransformType.KE, TransformType.ESN, ...ADDKE_TYPES];

function isKexType(type: number): boolean {
  return type === TransformType.KE || ADDKE_TYPES.includes(type);
}

const TYPE_NAMES: Readonly<Record<number, string>> = {
  [TransformType.ENCR]: "encryption",
  [TransformType.INTEG]: "integrity",
  [TransformType.PRF]: "PRF",
  [TransformType.KE]: "key exchange",
  [TransformType.ESN]: "extended sequence numbers",
  ...Object.fromEntries(ADDKE_TYPES.map((type, index) => [type, `additional key exchange ${index + 1}`])),
};

function describeTransforms(transforms: readonly Transform[]): string {
  const groups = [TransformType.ENCR, TransformType.INTEG, TransformType.PRF, TransformType.KE].map((type) =>
    transforms.filter((one) => one.type === type && one.id !== 0),
  );
  const words = groups.filter((group) => group.length > 0).map(listTransforms);
  for (const type of ADDKE_TYPES) {
    const methods = ofType(transforms, type);
    if (methods.length > 0) words.push(listTransforms(methods));
  }
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
      return isKexType(transform.type)
        ? formatAdditionalKex(transform.type - TransformType.ADDKE1 + 1, transform.id)
        : `transform_${transform.type}_${transform.id}`;
  }
}
