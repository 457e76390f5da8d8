import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { Encr, Integ } from "../../wire/iana.ts";
import { Arena } from "./arena.ts";
import { EspTransform } from "./esp-transform.ts";
import { gcmLibrary, keyLengths, loadGcmLibrary } from "./gcm-library.ts";
import { loader } from "./native.ts";

const debians = "libIPSec_MB.so.1";
const directory = mkdtempSync(join(tmpdir(), "culvert-gcm-"));
afterEach(() => void vi.restoreAllMocks());
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A library of the same names whose functions do what the given C says. */
function libraryThat(name: string, source: string): string {
  const file = join(directory, `${name}.so`);
  writeFileSync(
    join(directory, `${name}.c`),
    `#include <dlfcn.h>
#include <stdint.h>
#include <string.h>
#define PARAMETERS const void *key, void *context, uint8_t *out, const uint8_t *in, uint64_t octets, const uint8_t *nonce, const uint8_t *aad, uint64_t aad_octets, uint8_t *tag, uint64_t tag_octets
#define ARGUMENTS key, context, out, in, octets, nonce, aad, aad_octets, tag, tag_octets
typedef void pre(const void *, void *);
typedef void gcm(PARAMETERS);
static void *real(const char *name) { return dlsym(dlopen("${debians}", RTLD_NOW), name); }
static unsigned version = 0x10300;
unsigned imb_get_version(void) { return version; }
static void after_pre(uint8_t *expanded);
static void after_enc(uint8_t *out, uint64_t octets, uint8_t *tag, uint8_t *context);
static void after_dec(uint8_t *out, uint64_t octets, uint8_t *tag);
#define OF(bits) \\
  void aes_gcm_pre_##bits##_avx_gen4(const void *key, void *expanded) { ((pre *)real("aes_gcm_pre_" #bits "_avx_gen4"))(key, expanded); after_pre(expanded); } \\
  void aes_gcm_enc_##bits##_avx_gen4(PARAMETERS) { ((gcm *)real("aes_gcm_enc_" #bits "_avx_gen4"))(ARGUMENTS); after_enc(out, octets, tag, context); } \\
  void aes_gcm_dec_##bits##_avx_gen4(PARAMETERS) { ((gcm *)real("aes_gcm_dec_" #bits "_avx_gen4"))(ARGUMENTS); after_dec(out, octets, tag); }
OF(128) OF(192) OF(256)
${source}
`,
  );
  const compiled = spawnSync("cc", ["-O2", "-w", "-shared", "-fPIC", "-o", file, join(directory, `${name}.c`), "-ldl"], { encoding: "utf8" });
  expect(compiled.stderr).toBe("");
  return file;
}

const honest = {
  pre: "static void after_pre(uint8_t *expanded) {}",
  enc: "static void after_enc(uint8_t *out, uint64_t octets, uint8_t *tag, uint8_t *context) {}",
  dec: "static void after_dec(uint8_t *out, uint64_t octets, uint8_t *tag) {}",
};
const sourceOf = (changed: Partial<typeof honest>): string => Object.values({ ...honest, ...changed }).join("\n");

describe("loadGcmLibrary", () => {
  it("takes Debian's library, and says which it is", () => {
    expect(loadGcmLibrary(debians)?.name).toMatch(/^libIPSec_MB 1\.\d+\.\d+ \((vaes_)?avx/);
    expect(gcmLibrary()).not.toBeNull();
  });

  it("does without a library that is not there, or is another one", () => {
    expect(loadGcmLibrary("libIPSec_MB.so.99")).toBeNull();
    expect(loadGcmLibrary("libc.so.6")).toBeNull();
  });

  it("is looked for once, also where there is none that can be taken", async () => {
    vi.resetModules();
    const { loader: opener } = await import("./native.ts");
    const { gcmLibrary: lookFor } = await import("./gcm-library.ts");
    const opened = vi.spyOn(opener, "open").mockReturnValue(0);
    expect([lookFor(), lookFor(), lookFor()]).toEqual([null, null, null]);
    expect(opened.mock.calls.map(([file]) => file)).toEqual(["libIPSec_MB.so.2", debians]);
  });

  it("takes no function that the processor has no instructions for", () => {
    const all = ["aes", "pclmulqdq", "avx", "avx2", "bmi2"];
    expect(loadGcmLibrary(debians, new Set(all))).not.toBeNull();
    for (const missing of all) expect(loadGcmLibrary(debians, new Set(all.filter((flag) => flag !== missing))), missing).toBeNull();
    expect(loadGcmLibrary(debians, new Set())).toBeNull();
  });

  it("does without it where CULVERT_AES_GCM asks for OpenSSL", () => {
    vi.stubEnv("CULVERT_AES_GCM", "openssl");
    expect(gcmLibrary()).toBeNull();
    vi.unstubAllEnvs();
  });

  it("takes one that agrees with OpenSSL", () => {
    expect(loadGcmLibrary(libraryThat("honest", sourceOf({})))?.name).toBe("libIPSec_MB 1.3.0 (avx_gen4)");
  });

  const older = "static void __attribute__((constructor)) older(void) { version = 0x10200; }";
  const enc = (body: string) => ({ enc: `static void after_enc(uint8_t *out, uint64_t octets, uint8_t *tag, uint8_t *context) { ${body} }` });
  const dec = (body: string) => ({ dec: `static void after_dec(uint8_t *out, uint64_t octets, uint8_t *tag) { ${body} }` });
  const pre = (body: string) => ({ pre: `static void after_pre(uint8_t *expanded) { ${body} }` });
  it.each<{ readonly that: string; readonly source: string; readonly hidden?: string }>([
    { that: "is older than it is known of", source: `${sourceOf({})}\n${older}` },
    { that: "lacks one of its functions", source: sourceOf({}), hidden: "aes_gcm_dec_192_avx_gen4" },
    { that: "writes behind its key", source: sourceOf(pre("expanded[500] = 0;")) },
    { that: "writes behind what a call needs", source: sourceOf(enc("context[128] = 0;")) },
    { that: "expands a key to another one", source: sourceOf(pre("expanded[20] ^= 1;")) },
    { that: "encrypts one octet of a long packet otherwise", source: sourceOf(enc("if (octets > 9000) out[9000] ^= 1;")) },
    { that: "makes another ICV of a short one", source: sourceOf(enc("if (octets == 2) tag[15] ^= 1;")) },
    { that: "decrypts otherwise", source: sourceOf(dec("out[0] ^= 0x80;")) },
    { that: "finds another ICV when it opens", source: sourceOf(dec("tag[0] ^= 1;")) },
  ])("leaves one to itself that $that", ({ that, source, hidden }) => {
    const { symbol } = loader;
    vi.spyOn(loader, "symbol").mockImplementation((handle: number, name: string) => (name === hidden ? 0 : symbol(handle, name)));
    expect(loadGcmLibrary(libraryThat(that.replaceAll(" ", "-"), source))).toBeNull();
  });
});

describe("EspTransform with the library", () => {
  const library = loadGcmLibrary(debians);
  const arena = new Arena(1 << 20);
  const [ours, openssls] = [arena.allocate(4_096), arena.allocate(4_096)];

  it("seals to the octet what OpenSSL seals, and each opens the other's, with every key and ICV length", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(Encr.AES_GCM_8, Encr.AES_GCM_12, Encr.AES_GCM_16),
        fc.constantFrom(...keyLengths).chain((octets) => fc.uint8Array({ minLength: octets, maxLength: octets })),
        fc.uint8Array({ minLength: 4, maxLength: 4 }),
        fc.boolean(),
        fc.uint8Array({ minLength: 2, maxLength: 2_000 }),
        fc.nat(0xffff_ffff),
        fc.nat(0xffff),
        (encr, encryptionKey, salt, extended, content, sequence, high) => {
          const keys = { encr, encryptionKey, salt, integ: Integ.NONE, integrityKey: new Uint8Array(0) };
          const make = (direction: "seal" | "open", by: typeof library) => new EspTransform(arena, keys, direction, extended, null, by);
          const transforms = [make("seal", library), make("seal", null), make("open", library), make("open", null)] as const;
          const ends = ([ours, openssls] as const).map((at, index) => {
            arena.view.setUint32(at, 0xc0de_cafe);
            arena.view.setUint32(at + 4, sequence);
            arena.bytes.set(content, at + 16);
            return transforms[index as 0 | 1].seal(at, at + 16 + content.length, sequence, high);
          });
          const sealed = Buffer.from(arena.bytes.subarray(ours, ends[0]!));
          expect(sealed.equals(arena.bytes.subarray(openssls, ends[1]!))).toBe(true);
          expect(transforms[3].open(ours, ends[0]!, high)).toBe(true);
          expect(transforms[2].open(openssls, ends[1]!, high)).toBe(true);
          for (const at of [ours, openssls]) expect(Buffer.from(arena.bytes.subarray(at + 16, at + 16 + content.length)).equals(content)).toBe(true);
          for (const transform of transforms) transform.close();
        },
      ),
      { numRuns: 300 },
    );
  });

  it("leaves nothing of a key in the arena once it is closed", () => {
    const room = new Arena(1 << 16);
    const encryptionKey = Uint8Array.from({ length: 32 }, (_, index) => 0xa0 + index);
    const transform = new EspTransform(
      room,
      { encr: Encr.AES_GCM_16, encryptionKey, salt: Uint8Array.of(9, 8, 7, 6), integ: Integ.NONE, integrityKey: new Uint8Array(0) },
      "seal",
      false,
      null,
      library,
    );
    // The first two round keys of AES are the key itself.
    expect(Buffer.from(room.bytes).includes(encryptionKey)).toBe(true);
    room.bytes.fill(1, 8_192, 8_192 + 64);
    transform.seal(8_192, 8_192 + 64, 1, 0);
    transform.close();
    expect(Buffer.from(room.bytes).includes(encryptionKey.subarray(0, 16))).toBe(false);
    expect(Buffer.from(room.bytes).includes(encryptionKey.subarray(16))).toBe(false);
    expect(Buffer.from(room.bytes).includes(Uint8Array.of(9, 8, 7, 6))).toBe(false);
  });
});
