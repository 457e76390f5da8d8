/*
 * Netlink messages (netlink(7), linux/netlink.h), in the host's order, which is little-endian wherever this runs: length (4, with this
 * header) · type (2) · flags (2) · sequence (4) · port id (4) · a fixed structure · attributes: length (2, with its header) · type (2) · value,
 * each padded to 4.
 */
export const NLMSG_HEADER_OCTETS = 16;
const ATTRIBUTE_HEADER_OCTETS = 4;

export const NetlinkType = { ERROR: 2, DONE: 3 } as const;
/** NLM_F_*: a request; several messages; an answer in any case; every object; only what is not there yet. */
export const NetlinkFlag = { REQUEST: 0x1, MULTI: 0x2, ACK: 0x4, DUMP: 0x300, CREATE: 0x400, EXCL: 0x200, ACK_TLVS: 0x200 } as const;
const NLMSGERR_ATTR_MSG = 1;
const NLMSGERR_OCTETS = 20;

export interface Attribute {
  readonly type: number;
  readonly value: Uint8Array;
}

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Behind the header: a view of the message. */
  readonly payload: Uint8Array;
}

/** A new array. */
export function encodeMessage(type: number, flags: number, sequence: number, fixed: Uint8Array, attributes: readonly Attribute[] = []): Uint8Array {
  const attributesAt = NLMSG_HEADER_OCTETS + align(fixed.length);
  const octets = attributesAt + octetsOf(attributes);
  const bytes = new Uint8Array(octets);
  const view = viewOf(bytes);
  view.setUint32(0, octets, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  view.setUint32(8, sequence, true);
  bytes.set(fixed, NLMSG_HEADER_OCTETS);
  writeAttributes(bytes, attributesAt, attributes);
  return bytes;
}

/** What an attribute that holds others has for a value. A new array. */
export function encodeAttributes(attributes: readonly Attribute[]): Uint8Array {
  const bytes = new Uint8Array(octetsOf(attributes));
  writeAttributes(bytes, 0, attributes);
  return bytes;
}

function octetsOf(attributes: readonly Attribute[]): number {
  return attributes.reduce((sum, { value }) => sum + align(ATTRIBUTE_HEADER_OCTETS + value.length), 0);
}

function writeAttributes(bytes: Uint8Array, start: number, attributes: readonly Attribute[]): void {
  const view = viewOf(bytes);
  let at = start;
  for (const { type, value } of attributes) {
    view.setUint16(at, ATTRIBUTE_HEADER_OCTETS + value.length, true);
    view.setUint16(at + 2, type, true);
    bytes.set(value, at + ATTRIBUTE_HEADER_OCTETS);
    at += align(ATTRIBUTE_HEADER_OCTETS + value.length);
  }
}

/** The messages of one datagram; what is cut off at its end is left out. */
export function decodeMessages(bytes: Uint8Array): NetlinkMessage[] {
  const view = viewOf(bytes);
  const messages: NetlinkMessage[] = [];
  for (let at = 0; at + NLMSG_HEADER_OCTETS <= bytes.length; ) {
    const octets = view.getUint32(at, true);
    if (octets < NLMSG_HEADER_OCTETS || at + octets > bytes.length) break;
    messages.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      payload: bytes.subarray(at + NLMSG_HEADER_OCTETS, at + octets),
    });
    at += align(octets);
  }
  return messages;
}

/** The attributes behind a fixed structure of `fixedOctets`: views. */
export function decodeAttributes(payload: Uint8Array, fixedOctets: number): Attribute[] {
  const view = viewOf(payload);
  const attributes: Attribute[] = [];
  for (let at = align(fixedOctets); at + ATTRIBUTE_HEADER_OCTETS <= payload.length; ) {
    const octets = view.getUint16(at, true);
    if (octets < ATTRIBUTE_HEADER_OCTETS || at + octets > payload.length) break;
    attributes.push({ type: view.getUint16(at + 2, true) & 0x3fff, value: payload.subarray(at + ATTRIBUTE_HEADER_OCTETS, at + octets) });
    at += align(octets);
  }
  return attributes;
}

/** The errno (0: done) and, where the kernel gives one, its sentence (NETLINK_EXT_ACK; NETLINK_CAP_ACK keeps the request out of it). */
export function decodeError({ payload, flags }: NetlinkMessage): { readonly errno: number; readonly text: string | null } {
  if (payload.length < 4) return { errno: 0, text: null };
  const errno = Math.abs(viewOf(payload).getInt32(0, true));
  const said = (flags & NetlinkFlag.ACK_TLVS) === 0 ? undefined : decodeAttributes(payload, NLMSGERR_OCTETS).find(({ type }) => type === NLMSGERR_ATTR_MSG);
  return { errno, text: said === undefined ? null : new TextDecoder().decode(said.value).replace(/\0+$/, "") };
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function align(octets: number): number {
  return (octets + 3) & ~3;
}
