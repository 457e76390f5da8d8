/**
 * Values by key, those of a key in the order in which they came. Of 10,000 links nearly each has one IKE SA and one peer of its own, so a value
 * that is alone is kept without a set around it, which would take 200 octets each time.
 */
export class Grouped<K, V extends object> {
  readonly #groups = new Map<K, V | Set<V>>();

  /** A list of its own. */
  get(key: K): V[] {
    const group = this.#groups.get(key);
    return group === undefined ? [] : listOf(group);
  }

  /** One of each key. */
  firsts(): V[] {
    return [...this.#groups.values()].map((group) => listOf(group)[0]!);
  }

  *all(): Generator<V> {
    for (const group of this.#groups.values()) yield* listOf(group);
  }

  add(key: K, value: V): void {
    const group = this.#groups.get(key);
    if (group instanceof Set) group.add(value);
    else if (group !== value) this.#groups.set(key, group === undefined ? value : new Set([group, value]));
  }

  delete(key: K, value: V): void {
    const group = this.#groups.get(key);
    if (group === value) this.#groups.delete(key);
    if (!(group instanceof Set) || !group.delete(value)) return;
    const [only] = group;
    if (group.size === 1) this.#groups.set(key, only!);
  }
}

function listOf<V extends object>(group: V | Set<V>): V[] {
  return group instanceof Set ? [...group] : [group];
}
