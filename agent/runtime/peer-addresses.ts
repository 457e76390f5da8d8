import { lookup } from "node:dns/promises";

export type ResolveHost = (name: string) => Promise<readonly string[]>;

/** What is known of a host name. `known`: the last answer there was, in their order as texts. */
export type PeerName =
  | { readonly kind: "known"; readonly addresses: readonly string[] }
  | { readonly kind: "unresolved"; readonly reason: string }
  | { readonly kind: "notLookedUp" };

/** A name server that is away is silent, and the resolver gives up after ten seconds and more. */
const LONGEST_WAIT_MS = 1_000;

/**
 * The addresses of peers that are given by host name. What was answered once is known until there is another answer: a name server that is away takes no
 * address away. A name is looked up once at a time, however often it is asked for.
 */
export class PeerAddresses {
  readonly #resolveHost: ResolveHost;
  readonly #names = new Map<string, PeerName>();
  readonly #running = new Map<string, Promise<void>>();
  /** Nobody waits for these any more. */
  readonly #late = new Set<string>();
  readonly #onLateAnswer: () => void;

  /** `onLateAnswer`: a name is known for which `lookUp` has waited in vain. */
  constructor(onLateAnswer: () => void, resolveHost: ResolveHost = askResolver) {
    this.#onLateAnswer = onLateAnswer;
    this.#resolveHost = resolveHost;
  }

  of(name: string): PeerName {
    return this.#names.get(name) ?? { kind: "notLookedUp" };
  }

  /** Looks all of them up at once. Resolves after a second at the latest: an answer that comes later is known from then on. */
  async lookUp(names: ReadonlySet<string>): Promise<void> {
    const answers = Promise.all([...names].map((name) => this.#answer(name)));
    const silence = Promise.withResolvers<void>();
    const timer = setTimeout(silence.resolve, LONGEST_WAIT_MS);
    await Promise.race([answers, silence.promise]);
    clearTimeout(timer);
    for (const name of names) {
      if (this.#running.has(name)) this.#late.add(name);
      if (this.of(name).kind === "notLookedUp") this.#names.set(name, { kind: "unresolved", reason: "the name server is silent" });
    }
  }

  #answer(name: string): Promise<void> {
    const running = this.#running.get(name) ?? this.#ask(name).finally(() => this.#running.delete(name));
    this.#running.set(name, running);
    return running;
  }

  async #ask(name: string): Promise<void> {
    try {
      const addresses = await this.#resolveHost(name);
      this.#names.set(name, { kind: "known", addresses: addresses.toSorted() });
      if (this.#late.has(name)) this.#onLateAnswer();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (this.of(name).kind !== "known") this.#names.set(name, { kind: "unresolved", reason });
    } finally {
      this.#late.delete(name);
    }
  }
}

async function askResolver(name: string): Promise<readonly string[]> {
  const answers = await lookup(name, { all: true });
  return answers.map(({ address }) => address);
}
