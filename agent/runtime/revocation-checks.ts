import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { z } from "zod";
import { readCertificate } from "../crypto/certificate.ts";
import { longestList } from "../crypto/crl.ts";
import { longestStatusAnswer, statusRequest } from "../crypto/ocsp.ts";
import { type RevocationQuery, RevocationStore } from "../crypto/revocation.ts";
import { writeAtomicallyAside } from "./atomic-file.ts";
import type { StatedLists } from "./stated-lists.ts";
import { fetchFromWeb } from "./web-fetch.ts";

export interface RevocationChecksOptions {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** More is known, or that nothing can be known. */
  readonly onChange: () => void;
  readonly log: (sentence: string) => void;
  /** Where lists outlive the process; null: nowhere. */
  readonly directory: string | null;
  readonly timeoutMs?: number;
}

/** A list that was fetched, with the authority that it was fetched for. */
interface KnownList {
  readonly address: string;
  readonly issuer: Uint8Array;
  fetchedAt: number;
  /** Milliseconds since 1970. */
  goodUntil: number;
}

const TIMEOUT_MS = 4_000;
/** How often lists are looked at, how old one may get, and how long before its end a new one is fetched. */
const REFRESH_EVERY_MS = 300_000;
const OLDEST_MS = 3_600_000;
const AHEAD_MS = 900_000;
const MOST_KNOWN = 256;

/** The first line of a stored list; the list itself follows in DER. */
const storedHeader = z.strictObject({ address: z.string(), issuer: z.base64(), fetchedAt: z.number() });
const SUFFIX = ".list";

/** Asks OCSP responders and fetches revocation lists for the engine, and keeps lists fresh for the SAs that are up. */
export class RevocationChecks {
  readonly store = new RevocationStore();
  readonly #options: RevocationChecksOptions;
  readonly #asking = new Set<string>();
  readonly #fetching = new Map<string, Promise<void>>();
  readonly #known = new Map<string, KnownList>();
  /** Lists of the configuration that are in the store. */
  readonly #taken = new Set<string>();
  readonly #timer: NodeJS.Timeout;
  /** Settles when all lists fetched so far are on disk. */
  #storing: Promise<void> = Promise.resolve();

  constructor(options: RevocationChecksOptions) {
    this.#options = options;
    if (options.directory !== null) this.#load(options.directory);
    this.#timer = setInterval(() => void this.refresh(), REFRESH_EVERY_MS);
    this.#timer.unref();
  }

  /** Resolves when the answer, or that there is none, is in the store. The same question is asked once at a time. */
  async ask(query: RevocationQuery): Promise<void> {
    const id = keyOf(query.certificate.der);
    if (this.#asking.has(id)) return;
    this.#asking.add(id);
    try {
      const failures: string[] = [];
      const isKnown = (await this.#askResponders(query, failures)) || (await this.#fetchLists(query, failures));
      if (!isKnown) {
        this.store.noteFailure(query.certificate, failures.join("; "), this.#options.now());
        this.#options.log(`whether the certificate of ${query.certificate.subjectText} is revoked could not be found out: ${failures.join("; ")}`);
      }
    } finally {
      this.#asking.delete(id);
    }
    this.#options.onChange();
  }

  /** Fetches the lists that grow old anew. */
  async refresh(): Promise<void> {
    const now = this.#options.now();
    const old = [...this.#known.values()].filter((list) => now - list.fetchedAt >= OLDEST_MS || list.goodUntil - now < AHEAD_MS);
    const results = await Promise.allSettled(old.map((list) => this.#fetchList(list.address, list.issuer)));
    for (const result of results) if (result.status === "rejected") this.#options.log(`a revocation list could not be renewed: ${messageOf(result.reason)}`);
    if (results.some((result) => result.status === "fulfilled")) this.#options.onChange();
  }

  /** Uses lists that came with the configuration. One that none of these authorities signed, or that is not for now, is told of and left out. */
  async take({ lists, authorities }: StatedLists): Promise<void> {
    const fresh = lists.filter((list) => !this.#taken.has(keyOf(list)));
    let isMoreKnown = false;
    for (const list of fresh) {
      try {
        await this.store.addListAside(list, authorities, this.#options.now(), setImmediate);
        this.#taken.add(keyOf(list));
        isMoreKnown = true;
      } catch (error) {
        this.#options.log(`a revocation list of the configuration is not used: ${messageOf(error)}`);
      }
    }
    if (isMoreKnown) this.#options.onChange();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #askResponders(query: RevocationQuery, failures: string[]): Promise<boolean> {
    for (const address of query.responders) {
      try {
        const body = { type: "application/ocsp-request", bytes: statusRequest(query.certificate, query.issuer) };
        const answer = await fetchFromWeb({ address, body, mostOctets: longestStatusAnswer, timeoutMs: this.#timeoutMs });
        this.store.addAnswer(answer, query, this.#options.now());
        return true;
      } catch (error) {
        failures.push(failureAt(address, error));
      }
    }
    return false;
  }

  async #fetchLists(query: RevocationQuery, failures: string[]): Promise<boolean> {
    for (const address of query.lists) {
      try {
        await this.#fetchList(address, query.issuer.der);
        // It may be about other certificates than this one.
        if (this.store.status(query.certificate, query.issuer, this.#options.now()).kind !== "unsettled") return true;
        failures.push(`the list of ${address} says nothing of it`);
      } catch (error) {
        failures.push(failureAt(address, error));
      }
    }
    return false;
  }

  /** Many peers' certificates name the same list: it is fetched once for all that ask at the time. */
  #fetchList(address: string, issuer: Uint8Array): Promise<void> {
    // By the authority as well: a list is only taken as that of the one it was fetched for.
    const key = `${keyOf(issuer)} ${address}`;
    const known = this.#fetching.get(key);
    if (known !== undefined) return known;
    const fetching = this.#fetchAndKeep(address, issuer).finally(() => this.#fetching.delete(key));
    this.#fetching.set(key, fetching);
    return fetching;
  }

  async #fetchAndKeep(address: string, issuer: Uint8Array): Promise<void> {
    const list = await fetchFromWeb({ address, mostOctets: longestList, timeoutMs: this.#timeoutMs });
    const fetchedAt = this.#options.now();
    const der = fromPem(list);
    const goodUntil = await this.store.addListAside(der, [readCertificate(issuer)], fetchedAt, setImmediate);
    this.#remember({ address, issuer, fetchedAt, goodUntil });
    const { directory } = this.#options;
    if (directory === null) return;
    const header = `${JSON.stringify({ address, issuer: Buffer.from(issuer).toString("base64"), fetchedAt })}\n`;
    // One after the other: two authorities may have lists at the same address.
    const store = this.#storing.then(() => keep(join(directory, `${keyOf(Buffer.from(address))}${SUFFIX}`), [Buffer.from(header), der]));
    this.#storing = store.catch(() => undefined);
    await store;
  }

  #remember(list: KnownList): void {
    this.#known.delete(list.address);
    this.#known.set(list.address, list);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MOST_KNOWN) return;
      this.#known.delete(oldest);
    }
  }

  /** Before IKE begins. A file that cannot be used any more is removed: the list is fetched when it is wanted. */
  #load(directory: string): void {
    for (const name of filesIn(directory)) {
      const path = join(directory, name);
      try {
        const octets = readFileSync(path);
        const headerEnd = octets.indexOf("\n");
        const { address, issuer, fetchedAt } = storedHeader.parse(JSON.parse(octets.toString("utf8", 0, Math.max(headerEnd, 0))));
        const authority = readCertificate(new Uint8Array(Buffer.from(issuer, "base64")));
        const goodUntil = this.store.addList(new Uint8Array(octets.subarray(headerEnd + 1)), [authority], this.#options.now());
        this.#remember({ address, issuer: authority.der, fetchedAt, goodUntil });
      } catch (error) {
        this.#options.log(`a stored revocation list is not used: ${messageOf(error)}`);
        rmSync(path, { force: true });
      }
    }
  }

  get #timeoutMs(): number {
    return this.#options.timeoutMs ?? TIMEOUT_MS;
  }
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    // No list has been kept here yet.
    return [];
  }
}

async function keep(path: string, parts: readonly Uint8Array[]): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  await writeAtomicallyAside(path, parts);
}

/** Some authorities serve PEM, although RFC 5280 §4.2.1.13 has DER. */
function fromPem(octets: Uint8Array): Uint8Array {
  const text = Buffer.from(octets.buffer, octets.byteOffset, octets.length);
  if (!text.toString("latin1", 0, 64).trimStart().startsWith("-----BEGIN X509 CRL-----")) return octets;
  const begin = Math.max(text.indexOf("\n"), 0);
  const end = text.indexOf("-----END", begin);
  return new Uint8Array(Buffer.from(text.toString("latin1", begin, end < 0 ? text.length : end), "base64"));
}

function keyOf(octets: Uint8Array): string {
  return createHash("sha256").update(octets).digest("hex");
}

/** Named with its address, as what went wrong on the way there is. */
function failureAt(address: string, error: unknown): string {
  const message = messageOf(error);
  return message.startsWith(address) ? message : `${address}: ${message}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
