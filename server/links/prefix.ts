/** An IPv4 or IPv6 prefix as the range it covers. */
export interface Prefix {
  /** As it is best written: `10.1.0.0/24`. */
  readonly text: string;
  readonly family: 4 | 6;
  readonly length: number;
  readonly first: bigint;
  readonly last: bigint;
}

/** Parses `10.1.0.0/24`. The error is a sentence for the field it came from; host bits that are set are an error that names the fix. */
export function parsePrefix(text: string): Prefix | { readonly error: string } {
  const [addressText, lengthText, ...rest] = text.trim().split("/");
  const address = parseAddress(addressText ?? "");
  if (address === null || rest.length > 0) return { error: `“${text.trim()}” is not a network. Write an address and a prefix length, such as 10.1.0.0/24.` };
  const bits = address.family === 4 ? 32 : 128;
  const length = lengthText === undefined ? Number.NaN : Number(lengthText);
  if (!/^\d{1,3}$/.test(lengthText ?? "") || length > bits)
    return { error: `“${text.trim()}” needs a prefix length from 0 to ${bits}, such as ${addressText}/${bits === 32 ? 24 : 64}.` };
  const hostMask = (1n << BigInt(bits - length)) - 1n;
  const first = address.value & ~hostMask;
  const written = `${writeAddress(address.family, first)}/${length}`;
  if (first !== address.value) return { error: `“${text.trim()}” names a host inside a network. The network is ${written}.` };
  return { text: written, family: address.family, length, first, last: first | hostMask };
}

export function overlap(a: Prefix, b: Prefix): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

/** The first address a host may have in it: the network's own for a single host, else the one after it. */
export function firstHost(prefix: Prefix): string {
  const bits = prefix.family === 4 ? 32 : 128;
  return writeAddress(prefix.family, prefix.length >= bits - 1 ? prefix.first : prefix.first + 1n);
}

export function parseAddress(text: string): { readonly family: 4 | 6; readonly value: bigint } | null {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

function parseIpv4(text: string): { family: 4; value: bigint } | null {
  const parts = text.split(".");
  if (parts.length !== 4 || parts.some((part) => !/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255)) return null;
  return { family: 4, value: parts.reduce((value, part) => (value << 8n) | BigInt(part), 0n) };
}

function parseIpv6(text: string): { family: 6; value: bigint } | null {
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const groups = halves.map((half) => (half === "" ? [] : half.split(":")));
  const written = groups.flat();
  if (written.some((group) => !/^[0-9a-f]{1,4}$/i.test(group))) return null;
  const missing = 8 - written.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  const all = halves.length === 2 ? [...(groups[0] ?? []), ...Array.from({ length: missing }, () => "0"), ...(groups[1] ?? [])] : written;
  return { family: 6, value: all.reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n) };
}

function writeAddress(family: 4 | 6, value: bigint): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join(".");
  const groups = Array.from({ length: 8 }, (_, index) => ((value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16));
  // The longest run of two zero groups or more is "::", the first of equals (RFC 5952 §4.2).
  let best = { start: 0, length: 1 };
  for (let start = 0; start < 8; start += 1) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === "0") length += 1;
    if (length > best.length) best = { start, length };
  }
  if (best.length === 1) return groups.join(":");
  return `${groups.slice(0, best.start).join(":")}::${groups.slice(best.start + best.length).join(":")}`;
}
