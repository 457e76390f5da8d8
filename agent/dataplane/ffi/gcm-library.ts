import { createCipheriv } from "node:crypto";
import { readFileSync } from "node:fs";
import koffi from "koffi";
import { Arena } from "./arena.ts";
import { loader } from "./native.ts";

/*
 * AES-GCM of the Intel Multi-Buffer Crypto for IPsec Library where it is installed (docs/adr/0014): one call for a packet in place of OpenSSL's
 * five, and half of its time. Whatever is not as expected leaves OpenSSL in charge.
 */

/** Newest first: Debian 13 has 2, Debian 12 has 1. */
const files = ["libIPSec_MB.so.2", "libIPSec_MB.so.1"] as const;
/** 1.3, the oldest that its makers still mend. */
const LEAST_VERSION = 0x1_03_00;

interface Implementation {
  /** How its functions' names end. */
  readonly suffix: string;
  /** What /proc/cpuinfo must say: all that the library itself asks for before it takes this one, but for what its AES-GCM has no use of. */
  readonly needs: readonly string[];
  /** `struct gcm_key_data` as far as it is used: round keys, then powers of the hash key. */
  readonly keyOctets: number;
}

const avx2 = ["aes", "pclmulqdq", "avx", "avx2", "bmi2"];
/** Fastest first. */
const implementations: readonly Implementation[] = [
  {
    suffix: "vaes_avx512",
    needs: [...avx2, "vaes", "vpclmulqdq", "gfni", "avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd", "avx512ifma"],
    keyOctets: 240 + 16 * 64,
  },
  { suffix: "vaes_avx2", needs: [...avx2, "vaes", "vpclmulqdq"], keyOctets: 240 + 16 * 32 },
  { suffix: "avx_gen4", needs: avx2, keyOctets: 240 + 16 * 16 },
];

/** Of an expanded key, the most of all. */
export const MOST_EXPANDED_OCTETS = Math.max(...implementations.map(({ keyOctets }) => keyOctets));

export const keyLengths = [16, 24, 32] as const;
export type KeyOctets = (typeof keyLengths)[number];

/** `aes_gcm_{enc,dec}_…` of intel-ipsec-mb.h: all addresses and lengths; what it computes for an ICV is written to `tag` both ways. */
export type GcmFunction = (
  key: number,
  context: number,
  out: number,
  text: number,
  octets: number,
  nonce: number,
  aad: number,
  aadOctets: number,
  tag: number,
  tagOctets: number,
) => void;

/** The functions for keys of one length. */
export interface GcmFunctions {
  /** Expands the key at the first address to the second, which is a multiple of 64. */
  readonly prepare: (key: number, expanded: number) => void;
  readonly seal: GcmFunction;
  readonly open: GcmFunction;
  /** Where the two are, for native code that calls them. */
  readonly sealAt: number;
  readonly openAt: number;
}

export interface GcmLibrary {
  /** For people: "libIPSec_MB 1.3.0 (avx_gen4)". */
  readonly name: string;
  /** Of an expanded key. */
  readonly expandedOctets: number;
  readonly of: Readonly<Record<KeyOctets, GcmFunctions>>;
}

/** `struct gcm_context_data`, which a call needs and leaves nothing in that the next one reads. */
export const GCM_CONTEXT_OCTETS = 128;

let found: GcmLibrary | null | undefined;

/** Looked for once. Null: there is none for this processor, `CULVERT_AES_GCM=openssl` asks to do without, or what there is does not agree with OpenSSL. */
export function gcmLibrary(): GcmLibrary | null {
  if (process.env.CULVERT_AES_GCM === "openssl") return null;
  if (found === undefined) found = firstOf(files);
  return found;
}

function firstOf(names: readonly string[]): GcmLibrary | null {
  for (const name of names) {
    const library = loadGcmLibrary(name);
    if (library !== null) return library;
  }
  return null;
}

/** The library in this file, as long as it has all that is used of it and agrees with OpenSSL. `flags`: the processor's, unless told. */
export function loadGcmLibrary(file: string, flags?: ReadonlySet<string>): GcmLibrary | null {
  const handle = loader.open(file, loader.NOW);
  if (handle === 0) return null;
  const has = (name: string) => loader.symbol(handle, name) !== 0;
  if (!has("imb_get_version")) return null;
  const library = koffi.load(file);
  const version: number = library.func("uint32_t imb_get_version()")();
  if (version < LEAST_VERSION) return null;
  const available = flags ?? processorFlags();
  const fitting = implementations.find(({ suffix, needs }) => needs.every((flag) => available.has(flag)) && namesOf(suffix).every(has));
  if (fitting === undefined) return null;
  const { suffix, keyOctets: expandedOctets } = fitting;
  const functionsOf = (octets: KeyOctets): GcmFunctions => {
    const name = (what: string) => `aes_gcm_${what}_${octets * 8}_${suffix}`;
    const parameters =
      "(uintptr_t key, uintptr_t context, uintptr_t out, uintptr_t text, size_t octets, uintptr_t nonce, uintptr_t aad, size_t aadOctets, uintptr_t tag, size_t tagOctets)";
    return {
      prepare: library.func(`void ${name("pre")}(uintptr_t key, uintptr_t expanded)`),
      seal: library.func(`void ${name("enc")}${parameters}`),
      open: library.func(`void ${name("dec")}${parameters}`),
      sealAt: loader.symbol(handle, name("enc")),
      openAt: loader.symbol(handle, name("dec")),
    };
  };
  const made: GcmLibrary = {
    name: `libIPSec_MB ${version >> 16}.${(version >> 8) & 0xff}.${version & 0xff} (${suffix})`,
    expandedOctets,
    of: { 16: functionsOf(16), 24: functionsOf(24), 32: functionsOf(32) },
  };
  return agreesWithOpenssl(made) ? made : null;
}

function namesOf(suffix: string): string[] {
  return keyLengths.flatMap((octets) => ["pre", "enc", "dec"].map((what) => `aes_gcm_${what}_${octets * 8}_${suffix}`));
}

/** Of Linux's first processor; elsewhere there is no data plane that would ask. */
function processorFlags(): Set<string> {
  const flags = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "";
  return new Set(flags.trim().split(" "));
}

const PATTERN = 0xa5;
const BEHIND_OCTETS = 64;
/** Around the blocks of the ciphers (1, 6, 8, 16 of 16 octets), and packets. */
const testedLengths = [2, 16, 31, 96, 100, 128, 255, 256, 257, 1_438, 9_001];

/**
 * Before the first packet: every key length, ciphertext and ICV as OpenSSL makes them, opened again, and nothing written behind the places for the
 * expanded key and for what a call needs, whose sizes are known from the library's header alone.
 */
function agreesWithOpenssl({ of, expandedOctets }: GcmLibrary): boolean {
  const arena = new Arena(1 << 16);
  const [keyAt, nonceAt, aadAt, tagAt, contextAt] = [
    arena.allocate(32),
    arena.allocate(12),
    arena.allocate(12),
    arena.allocate(16),
    arena.allocate(GCM_CONTEXT_OCTETS + BEHIND_OCTETS),
  ];
  const expandedAt = arena.allocate(expandedOctets + BEHIND_OCTETS);
  const textAt = arena.allocate(Math.max(...testedLengths));
  const { bytes, address } = arena;
  for (let at = 0; at < 32; at++) bytes[keyAt + at] = at * 7 + 1;
  for (let at = 0; at < 12; at++) bytes[nonceAt + at] = bytes[aadAt + at] = at * 29 + 3;
  const agrees = keyLengths.every((octets) => {
    const { prepare, seal, open } = of[octets];
    bytes.fill(PATTERN, expandedAt, expandedAt + expandedOctets + BEHIND_OCTETS);
    bytes.fill(PATTERN, contextAt, contextAt + GCM_CONTEXT_OCTETS + BEHIND_OCTETS);
    prepare(address + keyAt, address + expandedAt);
    const isUntouched = (at: number) => bytes.subarray(at, at + BEHIND_OCTETS).every((octet) => octet === PATTERN);
    const agreesIn = testedLengths.every((length) => {
      const aadOctets = length % 2 === 0 ? 8 : 12;
      const text = Buffer.alloc(length, length & 0xff);
      const reference = createCipheriv(`aes-${octets * 8}-gcm` as "aes-128-gcm", bytes.subarray(keyAt, keyAt + octets), bytes.subarray(nonceAt, nonceAt + 12));
      reference.setAAD(bytes.subarray(aadAt, aadAt + aadOctets));
      const sealed = Buffer.concat([reference.update(text), reference.final(), reference.getAuthTag()]);
      const run = (work: GcmFunction) => {
        work(
          address + expandedAt,
          address + contextAt,
          address + textAt,
          address + textAt,
          length,
          address + nonceAt,
          address + aadAt,
          aadOctets,
          address + tagAt,
          16,
        );
        return Buffer.concat([bytes.subarray(textAt, textAt + length), bytes.subarray(tagAt, tagAt + 16)]);
      };
      bytes.set(text, textAt);
      if (!run(seal).equals(sealed)) return false;
      return run(open).equals(Buffer.concat([text, reference.getAuthTag()]));
    });
    return agreesIn && isUntouched(expandedAt + expandedOctets) && isUntouched(contextAt + GCM_CONTEXT_OCTETS);
  });
  arena.release();
  return agrees;
}
