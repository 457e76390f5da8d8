import { ATTRIBUTE_KEY_LENGTH, ProtocolId } from "../iana.ts";
import { concatOctets, readU16, writeU16 } from "../octets.ts";
import type { PayloadOf, Proposal, Transform, TransformAttribute } from "./message-types.ts";
import { invalidSyntax, requireOctets } from "./protocol-error.ts";

/*
 * Security Association payload (RFC 7296 §3.3): proposals, each with transforms, each with attributes.
 *   proposal:  0 last (0) or more (2) · 1 reserved · 2 length (2) · 4 number · 5 protocol · 6 SPI size · 7 transforms · 8 SPI
 *   transform: 0 last (0) or more (3) · 1 reserved · 2 length (2) · 4 type · 5 reserved · 6 id (2) · 8 attributes
 *   attribute: 0 AF bit and type (2) · 2 value (AF=1) or length (AF=0) (2) · 4 value (AF=0)
 */
const PROPOSAL_HEADER = 8;
const TRANSFORM_HEADER = 8;
const MORE_PROPOSALS = 2;
const MORE_TRANSFORMS = 3;
const ATTRIBUTE_FORMAT_TV = 0x8000;

/** Body of the payload to proposals. Throws IkeProtocolError INVALID_SYNTAX. */
export function parseSa(body: Uint8Array): PayloadOf<"sa"> {
  const proposals: Proposal[] = [];
  let rest = body;
  let more = true;
  while (more) {
    const length = structureLength(rest, PROPOSAL_HEADER, "A proposal");
    more = moreFollow(rest[0]!, MORE_PROPOSALS, length < rest.length, "proposal");
    proposals.push(parseProposal(rest.subarray(0, length)));
    rest = rest.subarray(length);
  }
  return { kind: "sa", proposals };
}

export function serializeSa(payload: PayloadOf<"sa">): Uint8Array {
  const last = payload.proposals.length - 1;
  return concatOctets(payload.proposals.map((proposal, index) => serializeProposal(proposal, index === last)));
}

function parseProposal(bytes: Uint8Array): Proposal {
  const protocolId = bytes[5]!;
  const spiSize = bytes[6]!;
  const transformCount = bytes[7]!;
  requireSpiSize(protocolId, spiSize);
  requireOctets(bytes, PROPOSAL_HEADER + spiSize, "A proposal with its SPI");
  const transforms: Transform[] = [];
  let rest = bytes.subarray(PROPOSAL_HEADER + spiSize);
  for (let index = 0; index < transformCount; index++) {
    const length = structureLength(rest, TRANSFORM_HEADER, "A transform");
    const more = moreFollow(rest[0]!, MORE_TRANSFORMS, length < rest.length, "transform");
    if (more !== index < transformCount - 1) throw invalidSyntax("The number of transforms differs from the count in their proposal.");
    transforms.push(parseTransform(rest.subarray(0, length)));
    rest = rest.subarray(length);
  }
  if (rest.length > 0) throw invalidSyntax("A proposal has octets after its last transform.");
  return { number: bytes[4]!, protocolId, spi: bytes.subarray(PROPOSAL_HEADER, PROPOSAL_HEADER + spiSize), transforms };
}

/** RFC 7296 §3.3.1: none or 8 octets for IKE, 4 for ESP and AH. Protocols we do not know keep theirs. */
function requireSpiSize(protocolId: number, spiSize: number): void {
  const isIke = protocolId === ProtocolId.IKE;
  const isIpsec = protocolId === ProtocolId.ESP || protocolId === ProtocolId.AH;
  if ((isIke && spiSize !== 0 && spiSize !== 8) || (isIpsec && spiSize !== 4)) {
    throw invalidSyntax(`A proposal of protocol ${protocolId} has an SPI of ${spiSize} octets.`);
  }
}

function parseTransform(bytes: Uint8Array): Transform {
  const unknownAttributes: TransformAttribute[] = [];
  let keyLengthBits: number | undefined;
  let rest = bytes.subarray(TRANSFORM_HEADER);
  while (rest.length > 0) {
    requireOctets(rest, 4, "A transform attribute");
    const word = readU16(rest, 0);
    const type = word & 0x7fff;
    const isShort = (word & ATTRIBUTE_FORMAT_TV) !== 0;
    const end = isShort ? 4 : 4 + readU16(rest, 2);
    requireOctets(rest, end, "A transform attribute");
    // Key length is always in the short form (§3.3.5); any other form of it is one we do not understand.
    if (isShort && type === ATTRIBUTE_KEY_LENGTH && keyLengthBits === undefined && unknownAttributes.length === 0) {
      keyLengthBits = readU16(rest, 2);
    } else {
      unknownAttributes.push({ type, isShort, value: rest.subarray(isShort ? 2 : 4, end) });
    }
    rest = rest.subarray(end);
  }
  return {
    type: bytes[4]!,
    id: readU16(bytes, 6),
    ...(keyLengthBits === undefined ? {} : { keyLengthBits }),
    ...(unknownAttributes.length === 0 ? {} : { unknownAttributes }),
  };
}

function structureLength(bytes: Uint8Array, minimum: number, what: string): number {
  requireOctets(bytes, minimum, what);
  const length = readU16(bytes, 2);
  if (length < minimum) throw invalidSyntax(`${what} says that it has ${length} octets; its header alone has ${minimum}.`);
  requireOctets(bytes, length, what);
  return length;
}

/** The "last substructure" octet has to agree with whether octets follow. */
function moreFollow(octet: number, moreValue: number, octetsFollow: boolean, what: string): boolean {
  if (octet !== 0 && octet !== moreValue) throw invalidSyntax(`The first octet of a ${what} is ${octet}.`);
  if ((octet === moreValue) !== octetsFollow)
    throw invalidSyntax(`A ${what} marked as ${octet === 0 ? "the last one is followed by others" : "not the last one has none behind it"}.`);
  return octetsFollow;
}

function serializeProposal(proposal: Proposal, isLast: boolean): Uint8Array {
  const last = proposal.transforms.length - 1;
  const header = new Uint8Array(PROPOSAL_HEADER);
  const bytes = concatOctets([header, proposal.spi, ...proposal.transforms.map((transform, index) => serializeTransform(transform, index === last))]);
  bytes[0] = isLast ? 0 : MORE_PROPOSALS;
  writeU16(bytes, 2, bytes.length);
  bytes[4] = proposal.number;
  bytes[5] = proposal.protocolId;
  bytes[6] = proposal.spi.length;
  bytes[7] = proposal.transforms.length;
  return bytes;
}

function serializeTransform(transform: Transform, isLast: boolean): Uint8Array {
  const attributes: Uint8Array[] = [];
  if (transform.keyLengthBits !== undefined) {
    const value = new Uint8Array(2);
    writeU16(value, 0, transform.keyLengthBits);
    attributes.push(serializeAttribute({ type: ATTRIBUTE_KEY_LENGTH, isShort: true, value }));
  }
  for (const attribute of transform.unknownAttributes ?? []) attributes.push(serializeAttribute(attribute));
  const bytes = concatOctets([new Uint8Array(TRANSFORM_HEADER), ...attributes]);
  bytes[0] = isLast ? 0 : MORE_TRANSFORMS;
  writeU16(bytes, 2, bytes.length);
  bytes[4] = transform.type;
  writeU16(bytes, 6, transform.id);
  return bytes;
}

function serializeAttribute(attribute: TransformAttribute): Uint8Array {
  const bytes = new Uint8Array((attribute.isShort ? 2 : 4) + attribute.value.length);
  writeU16(bytes, 0, attribute.type | (attribute.isShort ? ATTRIBUTE_FORMAT_TV : 0));
  if (!attribute.isShort) writeU16(bytes, 2, attribute.value.length);
  bytes.set(attribute.value, attribute.isShort ? 2 : 4);
  return bytes;
}
