import { establishedPhase, type IkeSa, isEnding } from "./ike-sa.ts";
import type { Instant } from "./endpoint-types.ts";
import { FIRST_PROBE_MS, PathSearch } from "./path-search.ts";

/** The path to an address: one of the IKE SAs over it searches, and all of them go by what it finds. */
export interface Path {
  readonly remote: string;
  readonly search: PathSearch;
  /** Established, in the order in which they came. */
  readonly users: Set<IkeSa>;
  prober: IkeSa | null;
}

/** All paths with an established IKE SA. A hub has as many of them as peers, or one for many links that come from one address. */
export class PathIndex {
  readonly #paths = new Map<string, Path>();

  /**
   * Puts an IKE SA where its state says that it belongs. `canProbe`: whether an IKE SA may search. A path that a rekey moves from one IKE SA to the next is
   * empty in between, so nothing is forgotten before `forgetUnused`. Returns the IKE SA that searches in place of this one from now on; null: nothing has changed hands.
   */
  settle(sa: IkeSa, isPresent: boolean, canProbe: (sa: IkeSa) => boolean, now: Instant): IkeSa | null {
    const before = sa.path;
    const path = isPresent && establishedPhase(sa) !== null && !isEnding(sa) ? this.#to(sa.remote.address, now) : null;
    if (before !== path) {
      before?.users.delete(sa);
      path?.users.add(sa);
      sa.path = path;
    }
    if (path !== null && path.prober === null && canProbe(sa)) path.prober = sa;
    if (before === null || before.prober !== sa || (before === path && canProbe(sa))) return null;
    before.prober = [...before.users].find(canProbe) ?? null;
    return before.prober;
  }

  forgetUnused(path: Path): void {
    if (path.users.size === 0 && this.#paths.get(path.remote) === path) this.#paths.delete(path.remote);
  }

  #to(remote: string, now: Instant): Path {
    const known = this.#paths.get(remote);
    if (known !== undefined) return known;
    const path = { remote, search: new PathSearch(remote.includes(":") ? 6 : 4, now + FIRST_PROBE_MS), users: new Set<IkeSa>(), prober: null };
    this.#paths.set(remote, path);
    return path;
  }
}
