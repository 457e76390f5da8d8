import { execFileSync } from "node:child_process";
import { closeSync, lstatSync, openSync, readdirSync, readFileSync, realpathSync, writeSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { build } from "esbuild";
import { root } from "../../scripts/setup.mjs";
import type { CloudKernel } from "./cloud-kernel.ts";

/* The initial file system of a machine that qemu plays: everything it has. It lies in the machine's memory, where a program is read fastest. */

/** Programs of this machine, with the libraries that they need. */
const programs = ["bash", "mount", "ip", "ping", "kmod", "cat", "echo", "base64", "flock", "stty", "env", "sysctl"];
/** For ESP, AH and xfrm interfaces with AES-GCM and HMAC-SHA-256, and a device that says it takes ESP (bonding); the rest is built in. Without the generator (drbg, which tries HMAC-SHA-512 first) no SA is taken. */
const modules =
  "xfrm_interface esp4 esp6 ah4 ah6 xfrm_user ctr gcm ghash-generic crypto_null sha512_generic drbg seqiv echainiv authenc authencesn veth esp4_offload esp6_offload bonding".split(
    " ",
  );
const directories = ["dev", "proc", "sys", "run", "tmp", "etc", "var"];
/** What a bundle leaves outside, because it has native code. */
const packages = ["koffi", "@koromix"];
export const programDirectory = "/culvert";
/**
 * Where its files are: the above is a link to it. A module that acts when it is the program itself (its import.meta.url is argv[1]), as scripts/setup.mjs does, must not take a bundle
 * that it is part of for itself.
 */
const filesDirectory = "/culvert-files";
/** As a gateway runs; set-up makes it. */
const gateway = join(root, "dist/agent");

/**
 * Writes the image. In the machine the TypeScript program `x.ts` is `/culvert/x.mjs`, the gateway's bundle lies in `/culvert/agent`; init is guest-init.sh.
 * @param sources programs, with those of their workers.
 */
export async function writeGuestImage(file: string, kernel: CloudKernel, sources: readonly string[]): Promise<void> {
  const archive = new Cpio(file);
  try {
    for (const name of directories) archive.directory(`/${name}`);
    archive.link("/sbin", "bin");
    archive.link("/usr/bin", "../bin");
    archive.link("/bin/sh", "bash");
    archive.link(programDirectory, basename(filesDirectory));
    archive.link("/bin/insmod", "kmod");
    const found = [...programs.map((name) => [name, locate(name)] as const), ["node", process.execPath] as const];
    for (const [name, path] of found) archive.file(`/bin/${name}`, readFileSync(path), true);
    for (const library of new Set(found.flatMap(([, path]) => librariesOf(path)))) archive.file(library, readFileSync(library), true);
    for (const [index, path] of modulesInOrder(kernel).entries())
      archive.file(`/modules/${String(index).padStart(2, "0")}-${basename(path)}`, readFileSync(path), false);
    for (const name of ["guest-init.sh", "console-loop.sh"]) archive.file(`/${name}`, readFileSync(join(import.meta.dirname, name)), true);
    for (const name of packages) archive.tree(join(root, "node_modules", name), `${filesDirectory}/node_modules/${name}`);
    for (const name of readdirSync(gateway).filter((file) => file.endsWith(".mjs")))
      archive.file(`${filesDirectory}/agent/${name}`, readFileSync(join(gateway, name)), false);
    for (const { name, contents } of await bundled(sources)) archive.file(`${filesDirectory}/${name}`, contents, false);
  } finally {
    archive.close();
  }
}

async function bundled(sources: readonly string[]): Promise<{ name: string; contents: Uint8Array }[]> {
  const { outputFiles } = await build({
    entryPoints: [...sources],
    outdir: root,
    entryNames: "[name]",
    outExtension: { ".js": ".mjs" },
    write: false,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node22",
    logLevel: "warning",
    external: ["koffi", "bufferutil", "utf-8-validate"],
    // CommonJS packages inside an ES module still call require for Node's own modules.
    banner: { js: 'import { createRequire as culvertCreateRequire } from "node:module"; const require = culvertCreateRequire(import.meta.url);' },
  });
  return outputFiles.map(({ path, contents }) => ({ name: basename(path), contents }));
}

function locate(program: string): string {
  const found = ["/bin", "/sbin", "/usr/bin", "/usr/sbin"].map((directory) => join(directory, program));
  const path = found.find((candidate) => lstatSync(candidate, { throwIfNoEntry: false }) !== undefined);
  if (path === undefined) throw new Error(`this machine has no ${program}`);
  return realpathSync(path);
}

/** The dynamic linker among them. */
function librariesOf(path: string): string[] {
  return [...execFileSync("ldd", [path], { encoding: "utf8" }).matchAll(/(?:=> |^\s*)(\/\S+) \(/gm)].map(([, library]) => library!);
}

/** Those they depend on first. */
function modulesInOrder({ release, root: directory }: CloudKernel): string[] {
  const shown = modules.map((name) => execFileSync("/usr/sbin/modprobe", ["-d", directory, "-S", release, "--show-depends", name], { encoding: "utf8" }));
  return [...new Set(shown.flatMap((text) => [...text.matchAll(/^insmod (\S+)/gm)].map(([, path]) => path!)))];
}

/** An archive in the "newc" format, which the kernel unpacks (Linux Documentation/driver-api/early-userspace/buffer-format). */
class Cpio {
  readonly #fd: number;
  readonly #known = new Set(["/"]);
  #inode = 0;

  constructor(file: string) {
    this.#fd = openSync(file, "w");
  }

  directory(path: string): void {
    if (this.#known.has(path)) return;
    this.#add(path, 0o040755, new Uint8Array(0));
  }

  file(path: string, contents: Uint8Array, isProgram: boolean): void {
    if (!this.#known.has(path)) this.#add(path, isProgram ? 0o100755 : 0o100644, contents);
  }

  link(path: string, target: string): void {
    this.#add(path, 0o120777, new TextEncoder().encode(target));
  }

  /** Links in it are followed. */
  tree(from: string, to: string): void {
    for (const entry of readdirSync(from)) {
      const path = realpathSync(join(from, entry));
      if (lstatSync(path).isDirectory()) this.tree(path, `${to}/${entry}`);
      else this.file(`${to}/${entry}`, readFileSync(path), false);
    }
  }

  close(): void {
    this.#write("TRAILER!!!", 0, new Uint8Array(0));
    closeSync(this.#fd);
  }

  #add(path: string, mode: number, contents: Uint8Array): void {
    this.directory(dirname(path));
    this.#known.add(path);
    this.#write(path.slice(1), mode, contents);
  }

  /** Header of 6 + 13 × 8 hexadecimal digits, name with a zero, contents; each padded to 4. */
  #write(name: string, mode: number, contents: Uint8Array): void {
    const bytes = new TextEncoder().encode(`${name}\0`);
    const numbers = [++this.#inode, mode, 0, 0, 1, 0, contents.length, 0, 0, 0, 0, bytes.length, 0];
    const header = new TextEncoder().encode(`070701${numbers.map((number) => number.toString(16).padStart(8, "0")).join("")}`);
    for (const part of [header, bytes, padding(header.length + bytes.length), contents, padding(contents.length)]) writeAll(this.#fd, part);
  }
}

function padding(octets: number): Uint8Array {
  return new Uint8Array(-octets & 3);
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}
