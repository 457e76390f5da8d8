import { readFileSync } from "node:fs";
import type { SaKeys } from "../crypto/sa-keys.ts";
import { Encr, Integ } from "../wire/iana.ts";

/** Known-answer packets made with scapy and accepted by a Linux 6.1 kernel: vectors/esp-ah.json. */
export interface EspVector {
  readonly id: string;
  readonly mode: "tunnel" | "transport";
  readonly keys: SaKeys;
  readonly spi: number;
  readonly sequence: number;
  /** Undefined without ESN. */
  readonly sequenceHigh: number | undefined;
  readonly iv: Uint8Array;
  /** What ESP carries: the inner packet in tunnel mode, the upper-layer part in transport mode. */
  readonly payload: Uint8Array;
  readonly nextHeader: number;
  /** From the ESP header to the ICV. */
  readonly esp: Uint8Array;
  /** The original packet, or the inner one, and what goes over the wire: each from its IP header on. */
  readonly plain: Uint8Array;
  readonly wire: Uint8Array;
  readonly isUdpEncapsulated: boolean;
}

export interface AhVector {
  readonly id: string;
  readonly mode: "tunnel" | "transport";
  readonly keys: SaKeys;
  readonly spi: number;
  readonly sequence: number;
  readonly sequenceHigh: number | undefined;
  /** The original packet, or the inner one, and what goes over the wire: each from its IP header on. */
  readonly plain: Uint8Array;
  readonly wire: Uint8Array;
}

interface RawVector {
  id: string;
  proto: "esp" | "ah";
  mode: "tunnel" | "transport";
  inner_ip: 4 | 6;
  outer_ip: 4 | 6;
  spi: string;
  seq: number;
  esn_hi: number | null;
  udp_encap: boolean;
  encr: string;
  encr_key: string | null;
  salt: string | null;
  iv: string | null;
  integ: string | null;
  integ_key: string | null;
  plain: string;
  protected: string;
}

export function espVectors(): EspVector[] {
  return rawVectors()
    .filter((vector) => vector.proto === "esp")
    .map(read);
}

export function ahVectors(): AhVector[] {
  return rawVectors()
    .filter((vector) => vector.proto === "ah")
    .map((raw) => ({
      id: raw.id,
      mode: raw.mode,
      keys: {
        encr: Encr.NULL,
        encryptionKey: new Uint8Array(0),
        salt: new Uint8Array(0),
        integ: integOf(raw.integ),
        integrityKey: octets(raw.integ_key),
      },
      spi: Number(raw.spi),
      sequence: raw.seq,
      sequenceHigh: raw.esn_hi ?? undefined,
      plain: octets(raw.plain),
      wire: octets(raw.protected),
    }));
}

function rawVectors(): RawVector[] {
  return JSON.parse(readFileSync(new URL("./vectors/esp-ah.json", import.meta.url), "utf8"));
}

function read(raw: RawVector): EspVector {
  const plain = octets(raw.plain);
  const packet = octets(raw.protected);
  const transport = raw.mode === "transport";
  // Vectors carry no IP options and no extension headers: a header has 20 or 40 octets.
  const innerHeader = raw.inner_ip === 4 ? 20 : 40;
  const outerHeader = (raw.outer_ip === 4 ? 20 : 40) + (raw.udp_encap ? 8 : 0);
  return {
    id: raw.id,
    mode: raw.mode,
    keys: {
      encr: encrOf(raw.encr),
      encryptionKey: octets(raw.encr_key),
      salt: octets(raw.salt),
      integ: integOf(raw.integ),
      integrityKey: octets(raw.integ_key),
    },
    spi: Number(raw.spi),
    sequence: raw.seq,
    sequenceHigh: raw.esn_hi ?? undefined,
    iv: octets(raw.iv),
    payload: transport ? plain.subarray(innerHeader) : plain,
    nextHeader: transport ? (plain[raw.inner_ip === 4 ? 9 : 6] ?? 0) : raw.inner_ip === 4 ? 4 : 41,
    esp: packet.subarray(outerHeader),
    plain,
    wire: packet,
    isUdpEncapsulated: raw.udp_encap,
  };
}

function encrOf(name: string): Encr {
  const family = name === "3DES_CBC" ? "DES3" : name.replace(/-\d+$/, "");
  const entry = Object.entries(Encr).find(([key]) => key === family);
  if (entry === undefined) throw new Error(`vector with an unknown cipher ${name}`);
  return entry[1];
}

function integOf(name: string | null): Integ {
  if (name === null) return Integ.NONE;
  const entry = Object.entries(Integ).find(([key]) => key === name);
  if (entry === undefined) throw new Error(`vector with an unknown integrity algorithm ${name}`);
  return entry[1];
}

function octets(text: string | null): Uint8Array {
  return new Uint8Array(Buffer.from(text ?? "", "hex"));
}
