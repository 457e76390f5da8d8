import { readFileSync, statSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { type Alias, type Document, isMap, isNode, isPair, LineCounter, parseDocument, visit } from "yaml";
import type { Authentication, DesiredState } from "../../contract/desired-state.ts";
import { type SiteFile, siteFile } from "../../contract/site-file.ts";
import { CredentialFileError, pemOf, readCredentialFile } from "../crypto/credential-file.ts";
import { type ConfigPath, type ConfigProblem, errorAt, formatPath, fromZodError, warningAt } from "./config-problem.ts";
import { checkState } from "./state-checks.ts";

export type ConfigResult =
  | { readonly ok: true; readonly state: DesiredState; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly lines: readonly string[] };

/**
 * Reads `site.yaml` into a desired state with every secret in place. Never throws: on any error the result holds one line for
 * each problem, `site.yaml:12: links[0].name: <reason> — <what to do>`, in the order of the file.
 */
export function readConfigFile(path: string): ConfigResult {
  const name = basename(path);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    return { ok: false, lines: [`${name}: cannot be read: ${messageOf(error)} — check the path and its permissions`] };
  }
  return readConfigText(text, path);
}

/** The same of a file's text; files that it names lie beside `path`. */
export function readConfigText(text: string, path: string): ConfigResult {
  const name = basename(path);
  const fromProgram = readJson(text, path);
  if (fromProgram !== null) return fromProgram;
  const lineCounter = new LineCounter();
  // A key that is no text is told of below, as unknown: the library would warn of it on the process's error output.
  const document = parseDocument(text, { lineCounter, logLevel: "error" });
  if (document.errors.length > 0) {
    // The library's message goes on to quote the line, which may hold a secret.
    return {
      ok: false,
      lines: document.errors.map(
        (error) => `${name}:${lineCounter.linePos(error.pos[0]).line}: not valid YAML: ${error.message.split(/ at line |\n/)[0]} — correct the syntax`,
      ),
    };
  }
  const said = readValue(document, lineCounter);
  if ("problems" in said) return { ok: false, lines: said.problems.map((problem) => `${name}:${problem}`) };
  const locate = (at: ConfigPath): number => lineOf(document, lineCounter, at);
  const format = (problem: ConfigProblem): string =>
    onOneLine(
      `${name}:${locate(problem.path)}: ${formatPath(problem.path)}: ${problem.severity === "warning" ? "warning: " : ""}${problem.reason} — ${problem.advice}`,
    );
  const sort = (problems: readonly ConfigProblem[]): ConfigProblem[] => problems.toSorted((a, b) => locate(a.path) - locate(b.path));

  const parsed = siteFile.safeParse(said.value, { reportInput: true });
  if (!parsed.success) return { ok: false, lines: sort(fromZodError(parsed.error)).map(format) };
  const secrets = new SecretFiles(dirname(resolve(path)));
  const state = secrets.inline(parsed.data);
  const problems = sort([...secrets.problems, ...checkState(state, secrets.unreadable)]);
  if (problems.some((problem) => problem.severity === "error")) return { ok: false, lines: problems.map(format) };
  return { ok: true, state, warnings: problems.map(format) };
}

/** What the document says, or why its aliases keep it from saying anything: the library throws for them, and does not say where. */
function readValue(document: Document, lines: LineCounter): { readonly value: unknown } | { readonly problems: readonly string[] } {
  const lineOfAlias = ({ range }: Alias): number => lines.linePos(range?.[0] ?? 0).line;
  const aliases: Alias[] = [];
  visit(document, { Alias: (_key, alias) => void aliases.push(alias) });
  const lost = aliases.filter((alias) => alias.resolve(document) === undefined);
  if (lost.length > 0)
    return {
      problems: lost.map(
        (alias) => `${lineOfAlias(alias)}: the alias *${alias.source} stands for nothing — write &${alias.source} before what it is to stand for, further up`,
      ),
    };
  try {
    return { value: document.toJS() };
  } catch (error) {
    // Aliases of aliases make an endless document out of a short one.
    if (!(error instanceof ReferenceError) || aliases[0] === undefined) throw error;
    return { problems: [`${lineOfAlias(aliases[0])}: the aliases from here on stand for far more than is in the file — write the values out`] };
  }
}

/** Nobody writes as much by hand; JSON's reader would not notice a key that is there twice. */
const LONG_FILE = 200_000;

/**
 * A long file that a program wrote is JSON, which YAML includes, and may hold thousands of links: YAML's reader takes 0.3 s and 40 MB for a
 * thousand. Null unless it is JSON with nothing to say about it: then YAML's reader finds the lines.
 */
function readJson(text: string, path: string): ConfigResult | null {
  if (text.length < LONG_FILE || !text.startsWith("{")) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const parsed = siteFile.safeParse(value);
  if (!parsed.success) return null;
  const secrets = new SecretFiles(dirname(resolve(path)));
  const state = secrets.inline(parsed.data);
  return secrets.problems.length + checkState(state, secrets.unreadable).length === 0 ? { ok: true, state, warnings: [] } : null;
}

/** Replaces every `{ file }` by the file's text, and remembers what was wrong with the files. */
class SecretFiles {
  readonly problems: ConfigProblem[] = [];
  /** Stands for a secret that could not be read, so that it is not reported a second time as malformed. */
  readonly unreadable = "\0unreadable";
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  inline(state: SiteFile): DesiredState {
    const { revocationLists } = state;
    return {
      ...state,
      ...(revocationLists === undefined ? {} : { revocationLists: revocationLists.map((list, index) => this.#read(list, ["revocationLists", index], false)) }),
      links: state.links.map((link, index) => ({ ...link, authentication: this.#authentication(link.authentication, ["links", index, "authentication"]) })),
    };
  }

  #authentication(auth: SiteFile["links"][number]["authentication"], at: ConfigPath): DesiredState["links"][number]["authentication"] {
    if (auth.method === "psk") {
      return { ...auth, keys: auth.keys.map((key, index) => ({ ...key, secret: this.#read(key.secret, [...at, "keys", index, "secret"], true) })) };
    }
    return {
      ...auth,
      certificates: auth.certificates.map((entry, index) => this.#certificate(entry, [...at, "certificates", index])),
      trustedAuthorities: auth.trustedAuthorities.map((entry, index) => this.#read(entry, [...at, "trustedAuthorities", index], false)),
    };
  }

  #certificate(entry: CertificateOfFile, at: ConfigPath): CertificateInPlace {
    if ("pkcs12" in entry) {
      const password = entry.password === undefined ? "" : this.#read(entry.password, [...at, "password"], true);
      return { id: entry.id, ...this.#open(entry.pkcs12.file, password, [...at, "pkcs12", "file"]) };
    }
    return { ...entry, chain: this.#read(entry.chain, [...at, "chain"], false), privateKey: this.#read(entry.privateKey, [...at, "privateKey"], true) };
  }

  /** Certificate, intermediates and key of a PKCS #12 file. Its dates are not looked at: a gateway is not kept from starting by one link. */
  #open(file: string, password: string, at: ConfigPath): { chain: string; privateKey: string } {
    const closed = { chain: this.unreadable, privateKey: this.unreadable };
    const octets = this.#octets(file, at, true);
    if (octets === null || password === this.unreadable) return closed;
    try {
      const { chain, privateKeyPem } = readCredentialFile(octets, password, null);
      return { chain: pemOf(chain), privateKey: privateKeyPem };
    } catch (error) {
      if (!(error instanceof CredentialFileError)) throw error;
      this.problems.push(errorAt(at, `${file}: ${error.reason}`, error.advice));
      return closed;
    }
  }

  #read(source: string | { readonly file: string }, at: ConfigPath, isSecret: boolean): string {
    if (typeof source === "string") return source;
    const octets = this.#octets(source.file, [...at, "file"], isSecret);
    if (octets === null) return this.unreadable;
    const text = octets.toString("utf8").replace(/\r?\n$/, "");
    if (text !== "") return text;
    this.problems.push(errorAt([...at, "file"], `${source.file} is empty`, "write the secret into it"));
    return this.unreadable;
  }

  #octets(file: string, at: ConfigPath, isSecret: boolean): Buffer | null {
    const path = resolve(this.#directory, file);
    try {
      if (isSecret && (statSync(path).mode & 0o077) !== 0) this.problems.push(warningAt(at, `${file} can be read by other users`, `chmod 600 ${file}`));
      return readFileSync(path);
    } catch (error) {
      this.problems.push(errorAt(at, `${file} cannot be read: ${messageOf(error)}`, "check the path (relative to the configuration file) and its permissions"));
      return null;
    }
  }
}

type CertificateOfFile = Extract<SiteFile["links"][number]["authentication"], { method: "certificate" }>["certificates"][number];
type CertificateInPlace = Extract<Authentication, { method: "certificate" }>["certificates"][number];

/** The line of the deepest part of `path` that is in the file. A key's line is that of the key, not of its value. */
function lineOf(document: Document, lines: LineCounter, path: ConfigPath): number {
  for (let length = path.length; length > 0; length--) {
    const parent = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const last = path[length - 1];
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isPair(item) && isNode(item.key) && String(item.key) === String(last));
      if (pair !== undefined && isNode(pair.key) && pair.key.range) return lines.linePos(pair.key.range[0]).line;
    }
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
  }
  return 1;
}

/** A value that a reason quotes may hold control characters. */
function onOneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => JSON.stringify(character).slice(1, -1));
}

function messageOf(error: unknown): string {
  if (error instanceof Error && "code" in error) {
    if (error.code === "ENOENT") return "there is no such file";
    if (error.code === "EACCES") return "permission denied";
    if (error.code === "EISDIR") return "it is a directory";
  }
  return error instanceof Error ? error.message : String(error);
}
