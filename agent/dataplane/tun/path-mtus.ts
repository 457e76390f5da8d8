/** An SA as far as it depends on the path: which peer it leads to, and the largest inner packet in octets. */
export interface PathUser {
  remote: string;
  maxInner: number;
  /** The largest inner packet whose outer packet has at most so many octets. */
  readonly innerFor: (pathMtu: number) => number;
}

/** How large a packet the path to each peer takes: outer packets, in octets. A worker's own copy. */
export class PathMtus {
  readonly #usual: number;
  readonly #known = new Map<string, number>();

  /** `usual`: of a path that nothing is known of. */
  constructor(usual: number) {
    this.#usual = usual;
  }

  of(remote: string): number {
    return this.#known.get(remote) ?? this.#usual;
  }

  set(remote: string, octets: number, users: Iterable<PathUser>): void {
    // What is usual need not be remembered, so there are not more than peers with a narrow path.
    if (octets === this.#usual) this.#known.delete(remote);
    else this.#known.set(remote, octets);
    for (const user of users) if (user.remote === remote) user.maxInner = user.innerFor(octets);
  }

  /** The peer is at another address now. */
  move(user: PathUser, remote: string): void {
    user.remote = remote;
    user.maxInner = user.innerFor(this.of(remote));
  }
}
