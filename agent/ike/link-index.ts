import { Grouped } from "./grouped.ts";
import { type Link, remoteIdentityOf } from "./ike-sa.ts";
import { identityKey, type WireIdentity } from "./negotiation/identity.ts";

/*
 * All links of the gateway, and those that a stranger may mean. A gateway has thousands of links on one address of its own, so whom a
 * message is for is looked up and not searched: by both addresses, and from IKE_AUTH on by who the peer says it is.
 */

export class LinkIndex {
  readonly #byId = new Map<string, Link>();
  readonly #buckets = new Map<string, Bucket>();

  get size(): number {
    return this.#byId.size;
  }

  get(id: string): Link | undefined {
    return this.#byId.get(id);
  }

  values(): MapIterator<Link> {
    return this.#byId.values();
  }

  add(link: Link): void {
    this.#byId.set(link.config.id, link);
    this.#enter(link);
  }

  delete(id: string): void {
    const link = this.#byId.get(id);
    if (link === undefined) return;
    this.#leave(link);
    this.#byId.delete(id);
  }

  /** The only way to change what a link is found by: its configuration and whether it is wanted. */
  change(link: Link, change: () => void): void {
    this.#leave(link);
    change();
    this.#enter(link);
  }

  /** Links that a peer at `remote` may mean when it talks to `local`, those that name its address first. */
  between(local: string, remote: string): Candidates {
    const keys = [bucketKey(local, remote), bucketKey(null, remote), bucketKey(local, null), bucketKey(null, null)];
    return new Candidates(keys.map((key) => this.#buckets.get(key)).filter((bucket) => bucket !== undefined));
  }

  /** Those that were taken down and would be among them. Looks at every link: only for what happens seldom. */
  downBetween(local: string, remote: string): Link[] {
    const fits = ({ localAddress, remoteAddresses }: Link["config"]): boolean =>
      (localAddress === null || localAddress === local) && (remoteAddresses.length === 0 || remoteAddresses.includes(remote));
    return [...this.#byId.values()].filter(({ wanted, config }) => wanted === "down" && fits(config));
  }

  #enter(link: Link): void {
    for (const key of keysOf(link)) {
      let bucket = this.#buckets.get(key);
      if (bucket === undefined) {
        bucket = new Bucket();
        this.#buckets.set(key, bucket);
      }
      bucket.add(link);
    }
  }

  #leave(link: Link): void {
    for (const key of keysOf(link)) {
      const bucket = this.#buckets.get(key);
      bucket?.delete(link);
      if (bucket?.size === 0) this.#buckets.delete(key);
    }
  }
}

/** What one IKE_SA_INIT may be about; IKE_AUTH tells which of them it is. */
export class Candidates {
  readonly #buckets: readonly Bucket[];

  constructor(buckets: readonly Bucket[]) {
    this.#buckets = buckets;
  }

  get size(): number {
    return this.#buckets.reduce((sum, bucket) => sum + bucket.size, 0);
  }

  /** Null when there is none, or a choice. */
  get only(): Link | null {
    return this.size === 1 ? (this.some(1)[0] ?? null) : null;
  }

  /** The first `most` of them, for sentences. */
  some(most: number): Link[] {
    const found: Link[] = [];
    for (const bucket of this.#buckets) {
      for (const link of bucket.links()) {
        if (found.length >= most) return found;
        found.push(link);
      }
    }
    return found;
  }

  /** One link for each list of IKE proposals that is among them. */
  byProposals(): Link[] {
    return this.#buckets.flatMap((bucket) => bucket.proposals.firsts());
  }

  byPeer(identity: WireIdentity): Link[] {
    const key = identityKey(identity);
    return this.#buckets.flatMap((bucket) => bucket.peers.get(key));
  }

  forceEncapsulation(): boolean {
    return this.#buckets.some((bucket) => bucket.forcing.size > 0);
  }

  /** One link for each list of trusted authorities that is among them. */
  byAuthorities(): Link[] {
    return this.#buckets.flatMap((bucket) => bucket.authorities.firsts());
  }
}

/** Links with the same two addresses (null: any), grouped by what they are asked for. */
class Bucket {
  readonly proposals = new Grouped<string, Link>();
  readonly peers = new Grouped<string, Link>();
  readonly authorities = new Grouped<string, Link>();
  readonly forcing = new Set<Link>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  links(): Generator<Link> {
    return this.peers.all();
  }

  add(link: Link): void {
    this.#size += 1;
    this.proposals.add(proposalsKey(link), link);
    this.peers.add(identityKey(remoteIdentityOf(link)), link);
    const { credentials, forceEncapsulation } = link.config;
    if (credentials.method === "certificate") this.authorities.add(authoritiesKey(credentials.trustedAuthorities), link);
    if (forceEncapsulation) this.forcing.add(link);
  }

  delete(link: Link): void {
    this.#size -= 1;
    this.proposals.delete(proposalsKey(link), link);
    this.peers.delete(identityKey(remoteIdentityOf(link)), link);
    const { credentials } = link.config;
    if (credentials.method === "certificate") this.authorities.delete(authoritiesKey(credentials.trustedAuthorities), link);
    this.forcing.delete(link);
  }
}

function keysOf({ wanted, config }: Link): string[] {
  if (wanted === "down") return [];
  const remotes = config.remoteAddresses.length === 0 ? [null] : new Set(config.remoteAddresses);
  return [...remotes].map((remote) => bucketKey(config.localAddress, remote));
}

function bucketKey(local: string | null, remote: string | null): string {
  return `${local ?? "*"}|${remote ?? "*"}`;
}

function proposalsKey(link: Link): string {
  return link.config.ikeProposals.join();
}

function authoritiesKey(authorities: readonly Uint8Array[]): string {
  return authorities.map((der) => der.join()).join(";");
}
