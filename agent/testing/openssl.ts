import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The command line of OpenSSL in a directory of its own: an implementation that shares no code with ours. */
export class OpenSsl {
  readonly #directory = mkdtempSync(join(tmpdir(), "culvert-openssl-"));

  /** Runs `openssl` with these arguments; files are named relative to the directory. Throws with what it said. */
  run(...args: readonly string[]): Buffer {
    return execFileSync("openssl", args, { cwd: this.#directory, stdio: ["ignore", "pipe", "pipe"] });
  }

  write(name: string, content: string | Uint8Array): void {
    writeFileSync(join(this.#directory, name), content);
  }

  read(name: string): Uint8Array {
    return new Uint8Array(readFileSync(join(this.#directory, name)));
  }

  /** A certificate that it wrote, as DER. */
  certificate(name: string): Uint8Array {
    return new Uint8Array(this.run("x509", "-in", name, "-outform", "DER"));
  }

  /** A private key that it wrote, as PKCS#8 in DER. */
  privateKey(name: string): Uint8Array {
    return new Uint8Array(this.run("pkcs8", "-topk8", "-nocrypt", "-in", name, "-outform", "DER"));
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true });
  }
}
