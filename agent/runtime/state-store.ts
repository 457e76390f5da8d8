import { chmodSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { desiredState, type DesiredState } from "../../contract/desired-state.ts";
import { putInPlace, writeAtomically, writeBeside } from "./atomic-file.ts";

/** What enrolment left: who this gateway is and how it reaches its hub. One file, so that key and certificate change together. */
export const machineIdentity = z.strictObject({
  gatewayId: z.string(),
  siteName: z.string(),
  hub: z.string(),
  /** Unix socket that replaces the TCP connection; null: none. */
  via: z.string().nullable(),
  caPem: z.string(),
  certificatePem: z.string(),
  privateKeyPem: z.string(),
});

export type MachineIdentity = z.infer<typeof machineIdentity>;

/** More than an identity takes. */
const IDENTITY_OCTETS = 65_536;

/** The state directory (0700): `desired.json` and `machine.json`, both with secrets and 0600. */
export class StateStore {
  readonly directory: string;
  #staged: string | null = null;

  /** Makes the directory if it is not there. Throws when it cannot be used. */
  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    chmodSync(directory, 0o700);
  }

  /**
   * Puts on the disk what is about to be applied; `saveDesired` brings it into force. What could not be stored must not be applied: the next start would
   * bring back what was before, with keys that the peer may have forgotten. @throws Error with a sentence; nothing is left behind then.
   */
  stageDesired(state: DesiredState): void {
    const text = JSON.stringify(state);
    this.#stage("desired.json", text);
    this.#staged = text;
  }

  saveDesired(state: DesiredState): void {
    const path = join(this.directory, "desired.json");
    const text = JSON.stringify(state);
    // As a rule it is what was staged, and so on the disk already.
    if (text === this.#staged) putInPlace(path);
    else writeAtomically(path, text);
    this.#staged = null;
  }

  /** The last good state, or null when there is none. Throws an Error when the file is not what `saveDesired` writes. */
  loadDesired(): DesiredState | null {
    return this.#load("desired.json", desiredState);
  }

  /** Before a token is spent: a disk without room must not cost it. @throws Error with a sentence. */
  reserveIdentity(): void {
    this.#stage("machine.json", " ".repeat(IDENTITY_OCTETS));
  }

  saveIdentity(identity: MachineIdentity): void {
    writeAtomically(join(this.directory, "machine.json"), JSON.stringify(identity));
  }

  loadIdentity(): MachineIdentity | null {
    return this.#load("machine.json", machineIdentity);
  }

  #stage(name: string, text: string): void {
    try {
      writeBeside(join(this.directory, name), text);
    } catch (error) {
      const reason =
        error instanceof Error && "code" in error && error.code === "ENOSPC" ? "the disk is full" : error instanceof Error ? error.message : String(error);
      throw new Error(`nothing can be stored in ${this.directory}: ${reason}; nothing was changed`, { cause: error });
    }
  }

  #load<T>(name: string, schema: z.ZodType<T>): T | null {
    const path = join(this.directory, name);
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
      throw error;
    }
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw new Error(`${path} is damaged: it is not JSON`); // JSON.parse would quote the text, which holds secrets.
    }
    const parsed = schema.safeParse(value);
    if (!parsed.success) throw new Error(`${path} is damaged: ${parsed.error.issues[0]?.path.join(".") ?? ""} is not as expected`);
    return parsed.data;
  }
}
