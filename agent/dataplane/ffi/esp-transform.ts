import type { SaKeys } from "../../crypto/sa-keys.ts";
import type { AeadBatch } from "./aead-batch.ts";
import { Arena } from "./arena.ts";
import { type BatchedEsp, batchedEsp, BatchedLine } from "./batched-esp.ts";
import { type EspShape, type EspSuite, isPossibleContent, suiteOf, writeAad, writeCounterIv } from "./esp-suite.ts";
import { type GcmFunction, type GcmFunctions, GCM_CONTEXT_OCTETS, type GcmLibrary, gcmLibrary, type KeyOctets, MOST_EXPANDED_OCTETS } from "./gcm-library.ts";
import { crypto } from "./native.ts";
import { MAC_OCTETS, PacketMac } from "./packet-mac.ts";

const SET_TAG = 0x11;
const SET_IV_LENGTH = 0x09;
/** What an SA has in the arena, in octets from its beginning: first what a packet in a batch takes of it. */
const Scratch = { nonce: BatchedLine.salt, aad: 16, sequenceHigh: 28, cipher: BatchedLine.cipher, length: 48, end: 64, key: 128, octets: 384 } as const;
/** With a `GcmLibrary` the expanded key follows the first line. */
const EXPANDED_KEY = 64;
/** The most that a transform takes of its arena. */
export const MOST_ESP_OCTETS = Math.max(Arena.sizeOf(Scratch.octets) + Arena.sizeOf(MAC_OCTETS), Arena.sizeOf(EXPANDED_KEY + MOST_EXPANDED_OCTETS));
/** OSSL_PARAM {key, type, data, size, return size} of 40 octets, one of no octets behind it, and the name of the first: behind the keys of `Scratch`. */
const Parameter = { at: 256, data: 256 + 16, name: 256 + 80 } as const;
const OCTET_STRING = 5;

/**
 * ESP's cryptography (RFC 4303 §3.3.2, §3.4.4) of one direction of one SA, over packets in an arena, through OpenSSL's EVP or, for AES-GCM where it
 * is there, a `GcmLibrary`. The key schedule is made once; a packet costs four native calls with an AEAD cipher of OpenSSL and five to seal (CCM: one
 * more), one with that library, and with a batch its share of one. Belongs to one worker: an EVP context is not shared. `close` frees it and zeroes the
 * keys; what is noted in a batch must have been run by then.
 */
export class EspTransform {
  /** Who notes this SA's packets in the batch, of which `lineAt` is all that it needs; null: each is sealed or opened at once. */
  readonly batched: BatchedEsp | null;
  readonly #scratch: number;
  readonly #suite: EspSuite;
  readonly #arena: Arena;
  readonly #gcm: GcmFunctions | null;
  /** EVP's; 0: the library's functions are used. */
  #context = 0;
  readonly #direction: 0 | 1;
  #mac: PacketMac | null = null;
  readonly #scratchOctets: number;

  /** @throws Error with a sentence when OpenSSL has no such algorithm. */
  constructor(
    arena: Arena,
    keys: SaKeys,
    direction: "seal" | "open",
    extendedSequenceNumbers: boolean,
    batch: AeadBatch | null = null,
    library: GcmLibrary | null = gcmLibrary(),
  ) {
    const suite = suiteOf(keys, extendedSequenceNumbers);
    const { cipher } = suite;
    this.#suite = suite;
    this.#arena = arena;
    this.#direction = direction === "seal" ? 1 : 0;
    this.batched = batchedEsp(arena, batch, suite);
    this.#gcm = cipher.kind === "gcm" && library !== null ? library.of[cipher.keyOctets as KeyOctets] : null;
    this.#scratchOctets = this.#gcm === null || library === null ? Scratch.octets : EXPANDED_KEY + library.expandedOctets;
    this.#scratch = arena.allocate(this.#scratchOctets);
    arena.bytes.set(keys.salt, this.#scratch);
    if (this.#gcm !== null) {
      this.#expandKey(this.#gcm, keys.encryptionKey);
      return;
    }
    if (this.#suite.kind === "ctr") arena.view.setUint32(this.#scratch + 12, 1);
    if (this.#suite.kind === "aead") this.#makeIcvParameter();
    try {
      this.#makeCipherContext(cipher.opensslName, keys.encryptionKey);
      if (suite.integ !== null) this.#mac = new PacketMac(arena, suite.integ, keys.integrityKey);
    } catch (error) {
      this.close();
      throw error;
    }
    arena.bytes.fill(0, this.#scratch + Scratch.key, this.#scratch + Parameter.at);
  }

  /** Where in the arena the line is that a packet in a batch reads; the expanded key, or what leads to it, is behind it. */
  get lineAt(): number {
    return this.#scratch;
  }

  get shape(): EspShape {
    return this.#suite;
  }

  get ivOctets(): number {
    return this.#suite.ivOctets;
  }

  get icvOctets(): number {
    return this.#suite.icvOctets;
  }

  /** What payload, padding and trailer must be a multiple of. */
  get alignment(): number {
    return this.#suite.alignment;
  }

  /**
   * Seals in place. The caller has put the inner packet at `start + 8 + ivOctets` and padding and trailer up to `contentEnd`; SPI and
   * sequence number are written by the caller too. Returns the end of the ICV. With a batch the packet is sealed when that is run.
   */
  seal(start: number, contentEnd: number, sequence: number, sequenceHigh: number): number {
    this.#writeIv(start + 8, sequence, sequenceHigh);
    return this.protect(start, contentEnd, sequenceHigh);
  }

  /** As `seal`, with an IV that is already in place: the caller answers for its never repeating. */
  protect(start: number, contentEnd: number, sequenceHigh: number): number {
    const ivAt = start + 8;
    if (this.batched !== null) return this.batched.protect(this.#scratch, start, contentEnd, sequenceHigh);
    if (this.#gcm !== null) {
      this.#callGcm(this.#gcm.seal, start, contentEnd, sequenceHigh, contentEnd);
      return contentEnd + this.icvOctets;
    }
    if (this.#suite.kind === "aead") {
      this.#aead(start, ivAt, contentEnd, sequenceHigh);
      this.#pointTo(contentEnd);
      if (crypto.cipherGetParameters(this.#context, this.#arena.address + this.#scratch + Parameter.at) !== 1) throw new Error("OpenSSL refused an ICV");
      return contentEnd + this.icvOctets;
    }
    this.#crypt(ivAt, contentEnd);
    this.#hash(start, contentEnd, sequenceHigh).finishTo(contentEnd);
    return contentEnd + this.icvOctets;
  }

  /** Verifies and opens `start` to `end` (behind the ICV) in place. False: the ICV is wrong or the length impossible, and nothing in it may be used. */
  open(start: number, end: number, sequenceHigh: number): boolean {
    const ivAt = start + 8;
    const contentEnd = end - this.icvOctets;
    if (!isPossibleContent(this.#suite, contentEnd - ivAt - this.ivOctets)) return false;
    if (this.#gcm !== null) return this.#openGcm(this.#gcm, start, contentEnd, sequenceHigh);
    if (this.#suite.kind === "aead") return this.#openAead(start, ivAt, contentEnd, sequenceHigh);
    if (!this.#hash(start, contentEnd, sequenceHigh).finishIs(contentEnd)) return false;
    this.#crypt(ivAt, contentEnd);
    return true;
  }

  close(): void {
    crypto.cipherContextFree(this.#context);
    this.#mac?.close();
    this.#arena.free(this.#scratch, this.#scratchOctets);
    // The library leaves the nonce there, and the key stream of a last block that was not whole.
    if (this.#gcm !== null) this.#arena.clearScratch();
  }

  /** CBC's must be unpredictable (RFC 3602 §3). */
  #writeIv(ivAt: number, sequence: number, sequenceHigh: number): void {
    if (this.#suite.kind !== "cbc") writeCounterIv(this.#arena, ivAt, sequence, sequenceHigh);
    else if (crypto.randomBytes(this.#arena.address + ivAt, 16) !== 1) throw new Error("OpenSSL's random generator failed");
  }

  /** One call: the content in place, what the ICV is or should be to `tagAt`. */
  #callGcm(work: GcmFunction, start: number, contentEnd: number, sequenceHigh: number, tagAt: number): void {
    const { address } = this.#arena;
    const scratch = this.#scratch;
    const ivAt = start + 8;
    const content = address + ivAt + this.ivOctets;
    const aad = this.#placeNonceAndAad(start, ivAt, sequenceHigh);
    work(
      address + scratch + EXPANDED_KEY,
      address + this.#arena.scratch,
      content,
      content,
      address + contentEnd - content,
      address + scratch,
      address + aad,
      this.#suite.extended ? 12 : 8,
      address + tagAt,
      this.icvOctets,
    );
  }

  #openGcm({ open }: GcmFunctions, start: number, contentEnd: number, sequenceHigh: number): boolean {
    const { view } = this.#arena;
    const computed = this.#arena.scratch + GCM_CONTEXT_OCTETS;
    this.#callGcm(open, start, contentEnd, sequenceHigh, computed);
    // All of it whatever the first octets are: how long it takes must not tell how much of a guess was right.
    let difference = 0;
    for (let at = 0; at < this.icvOctets; at += 4) difference |= view.getInt32(computed + at) ^ view.getInt32(contentEnd + at);
    return difference === 0;
  }

  #aead(start: number, ivAt: number, contentEnd: number, sequenceHigh: number): void {
    const { address } = this.#arena;
    const contentAt = ivAt + this.ivOctets;
    this.#startAead(start, ivAt, contentEnd, sequenceHigh);
    if (!this.#process(address + contentAt, contentEnd - contentAt)) throw new Error("OpenSSL could not encrypt a packet");
  }

  #openAead(start: number, ivAt: number, contentEnd: number, sequenceHigh: number): boolean {
    const { address } = this.#arena;
    const contentAt = ivAt + this.ivOctets;
    this.#startAead(start, ivAt, contentEnd, sequenceHigh);
    return this.#process(address + contentAt, contentEnd - contentAt);
  }

  /** The content in place, and the end of it: when opening, whether the ICV is right. */
  #process(content: number, octets: number): boolean {
    return (
      crypto.cipherProcess(this.#context, content, content, octets) === octets &&
      // CCM takes a call without an output for the length of what follows.
      crypto.cipherProcess(this.#context, this.#arena.address + this.#scratch + Scratch.end, 0, 0) === 0
    );
  }

  /** Nonce (salt, IV) and associated data. */
  #startAead(start: number, ivAt: number, contentEnd: number, sequenceHigh: number): void {
    const { address } = this.#arena;
    const scratch = this.#scratch;
    const aad = this.#placeNonceAndAad(start, ivAt, sequenceHigh);
    if (this.#direction === 0) this.#pointTo(contentEnd);
    const parameters = address + scratch + Parameter.at;
    const started =
      this.#direction === 1
        ? crypto.encryptInit(this.#context, 0, 0, address + scratch)
        : crypto.decryptInit(this.#context, 0, 0, address + scratch, parameters);
    if (started !== 1) throw new Error("OpenSSL refused a nonce");
    if (this.#suite.declaresLength && crypto.cipherUpdate(this.#context, 0, address + scratch + Scratch.length, 0, contentEnd - ivAt - this.ivOctets) !== 1)
      throw new Error("OpenSSL refused a length");
    const aadOctets = this.#suite.extended ? 12 : 8;
    if (crypto.cipherProcess(this.#context, 0, address + aad, aadOctets) !== aadOctets) throw new Error("OpenSSL refused associated data");
  }

  /** The salt is there already. Returns where the associated data are: without ESN they lie in the packet as they are. */
  #placeNonceAndAad(start: number, ivAt: number, sequenceHigh: number): number {
    const { view } = this.#arena;
    const scratch = this.#scratch;
    view.setInt32(scratch + this.#suite.saltOctets, view.getInt32(ivAt));
    view.setInt32(scratch + this.#suite.saltOctets + 4, view.getInt32(ivAt + 4));
    if (!this.#suite.extended) return start;
    writeAad(this.#arena, this.#suite, scratch + Scratch.aad, start, sequenceHigh);
    return scratch + Scratch.aad;
  }

  /** The fewer arguments a native call has the less it costs: one parameter, made once, says where the ICV is read or written. */
  #pointTo(icvAt: number): void {
    this.#arena.writePointer(this.#scratch + Parameter.data, icvAt);
  }

  #makeIcvParameter(): void {
    const arena = this.#arena;
    const scratch = this.#scratch;
    arena.bytes.set(new TextEncoder().encode("tag"), scratch + Parameter.name);
    arena.writePointer(scratch + Parameter.at, scratch + Parameter.name);
    arena.view.setUint32(scratch + Parameter.at + 8, OCTET_STRING, true);
    arena.writeSize(scratch + Parameter.at + 24, this.icvOctets);
  }

  /** CBC or CTR over the content, in place. */
  #crypt(ivAt: number, contentEnd: number): void {
    const { view, address } = this.#arena;
    const contentAt = ivAt + this.ivOctets;
    let iv = ivAt;
    if (this.#suite.kind === "ctr") {
      iv = this.#scratch;
      view.setUint32(iv + 4, view.getUint32(ivAt));
      view.setUint32(iv + 8, view.getUint32(ivAt + 4));
    }
    if (crypto.cipherInit(this.#context, 0, 0, 0, address + iv, this.#direction) !== 1) throw new Error("OpenSSL refused an IV");
    const length = address + this.#scratch + Scratch.length;
    if (crypto.cipherUpdate(this.#context, address + contentAt, length, address + contentAt, contentEnd - contentAt) !== 1)
      throw new Error("OpenSSL could not process a packet");
  }

  /** HMAC over the packet up to the ICV, and the high sequence bits with ESN (RFC 4303 §2.2.1), all but its end. */
  #hash(start: number, contentEnd: number, sequenceHigh: number): PacketMac {
    const mac = this.#mac;
    if (mac === null) throw new TypeError("an AEAD cipher has no integrity algorithm beside it");
    mac.begin();
    mac.add(start, contentEnd - start);
    if (this.#suite.extended) {
      this.#arena.view.setUint32(this.#scratch + Scratch.sequenceHigh, sequenceHigh);
      mac.add(this.#scratch + Scratch.sequenceHigh, 4);
    }
    return mac;
  }

  #expandKey(functions: GcmFunctions, key: Uint8Array): void {
    const { bytes, address } = this.#arena;
    const keyAt = this.#arena.scratch;
    bytes.set(key, keyAt);
    functions.prepare(address + keyAt, address + this.#scratch + EXPANDED_KEY);
    bytes.fill(0, keyAt, keyAt + key.length);
    this.#nameCipher(address + this.#scratch + EXPANDED_KEY, this.#direction === 1 ? functions.sealAt : functions.openAt);
  }

  /** For the batch, which reads both from the arena: as numbers they would lie on V8's heap. */
  #nameCipher(context: number, gcmFunction: number): void {
    const { words } = this.#arena;
    const word = (this.#scratch + Scratch.cipher) >>> 2;
    words[word] = context;
    words[word + 1] = Math.floor(context / 2 ** 32);
    words[word + 2] = gcmFunction;
    words[word + 3] = Math.floor(gcmFunction / 2 ** 32);
  }

  #makeCipherContext(name: string, key: Uint8Array): void {
    const { bytes, address } = this.#arena;
    const cipher = crypto.cipherByName(name);
    const context = crypto.cipherContextNew();
    this.#context = context;
    this.#nameCipher(context, 0);
    if (cipher === 0 || context === 0) throw new Error(`OpenSSL has no ${name}`);
    const keyAt = this.#scratch + Scratch.key;
    bytes.set(key, keyAt);
    crypto.cipherInit(context, cipher, 0, 0, 0, this.#direction);
    if (this.#suite.kind === "aead") crypto.cipherControl(context, SET_IV_LENGTH, this.#suite.saltOctets + this.ivOctets, 0);
    if (this.#suite.declaresLength) crypto.cipherControl(context, SET_TAG, this.icvOctets, 0);
    if (crypto.cipherInit(context, 0, 0, address + keyAt, 0, this.#direction) !== 1) throw new Error(`OpenSSL refused a key for ${name}`);
    if (this.#suite.kind === "cbc") crypto.cipherSetPadding(context, 0);
  }
}
