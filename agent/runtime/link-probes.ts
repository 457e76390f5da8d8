import type { DesiredLink } from "../../contract/desired-state.ts";
import type { Prober } from "./probe.ts";

/** What probing a link has shown since the probe was set. */
export interface ProbeState {
  readonly sent: number;
  readonly answered: number;
  readonly roundTripMs: number | null;
  /** Losses in a row. */
  readonly lostInARow: number;
  /** Why it cannot be sent; null: it can. */
  readonly fault: string | null;
}

interface ProbedLink {
  readonly key: string;
  readonly timer: NodeJS.Timeout;
  state: ProbeState;
}

const fresh: ProbeState = { sent: 0, answered: 0, roundTripMs: null, lostInARow: 0, fault: null };

/** Sends each link's probe at its interval while the link is up. A link whose probe is unchanged keeps its counts. */
export class LinkProbes {
  readonly #prober: Prober;
  readonly #isUp: (linkId: string) => boolean;
  readonly #links = new Map<string, ProbedLink>();

  constructor(prober: Prober, isUp: (linkId: string) => boolean) {
    this.#prober = prober;
    this.#isUp = isUp;
  }

  apply(links: readonly DesiredLink[]): void {
    const wanted = new Map(links.flatMap((link) => (isProbed(link) ? [[link.id, link] as const] : [])));
    for (const [id, running] of this.#links) {
      const link = wanted.get(id);
      if (link !== undefined && keyOf(link) === running.key) continue;
      clearInterval(running.timer);
      this.#links.delete(id);
    }
    for (const [id, link] of wanted) {
      if (this.#links.has(id)) continue;
      const timer = setInterval(() => void this.#probe(link), link.probeSeconds * 1_000);
      this.#links.set(id, { key: keyOf(link), timer, state: fresh });
    }
  }

  stateOf(linkId: string): ProbeState {
    return this.#links.get(linkId)?.state ?? fresh;
  }

  close(): void {
    for (const running of this.#links.values()) clearInterval(running.timer);
    this.#links.clear();
  }

  async #probe(link: DesiredLink): Promise<void> {
    const running = this.#links.get(link.id);
    if (running === undefined || link.probe === undefined) return;
    if (!this.#isUp(link.id)) {
      running.state = { ...running.state, roundTripMs: null, lostInARow: 0 };
      return;
    }
    try {
      const roundTripMs = await this.#prober.ping(link.probe.source, link.probe.target);
      const { sent, answered, lostInARow } = running.state;
      const isAnswered = roundTripMs !== null;
      running.state = { sent: sent + 1, answered: answered + (isAnswered ? 1 : 0), roundTripMs, lostInARow: isAnswered ? 0 : lostInARow + 1, fault: null };
    } catch (error) {
      running.state = { ...running.state, roundTripMs: null, fault: error instanceof Error ? error.message : String(error) };
    }
  }
}

function keyOf(link: DesiredLink): string {
  return JSON.stringify([link.probe, link.probeSeconds]);
}

/** Echoes are packets like any other: they would keep a tunnel that is to be closed when nothing passes. */
function isProbed({ enabled, probe, inactivitySeconds }: DesiredLink): boolean {
  return enabled && probe !== undefined && inactivitySeconds === undefined;
}
