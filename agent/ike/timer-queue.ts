import type { Instant } from "./endpoint-types.ts";

export interface Timer {
  readonly at: Instant;
  readonly reason: string;
}

interface Entry<Owner> extends Timer {
  readonly owner: Owner;
  /** Of two that are due at once the one that was set first comes first. */
  readonly order: number;
  position: number;
}

/** The next time of each owner, the earliest first: a binary heap in which every owner has at most one place. */
export class TimerQueue<Owner> {
  readonly #heap: Entry<Owner>[] = [];
  readonly #entries = new Map<Owner, Entry<Owner>>();
  #order = 0;

  get earliest(): Timer | null {
    return this.#heap[0] ?? null;
  }

  /** Null: nothing is to happen to it. */
  set(owner: Owner, timer: Timer | null): void {
    const old = this.#entries.get(owner);
    if (old !== undefined && old.at === timer?.at && old.reason === timer.reason) return;
    if (old !== undefined) this.#remove(old);
    if (timer === null) return;
    const entry = { at: timer.at, reason: timer.reason, owner, order: this.#order++, position: this.#heap.length };
    this.#entries.set(owner, entry);
    this.#heap.push(entry);
    this.#rise(entry);
  }

  /** Takes out who is due at `now`, in the order of their times. */
  takeDue(now: Instant): Owner[] {
    const due: Owner[] = [];
    for (let first = this.#heap[0]; first !== undefined && first.at <= now; first = this.#heap[0]) {
      this.#remove(first);
      due.push(first.owner);
    }
    return due;
  }

  #remove(entry: Entry<Owner>): void {
    this.#entries.delete(entry.owner);
    const last = this.#heap.pop();
    if (last === undefined || last === entry) return;
    this.#place(last, entry.position);
    this.#rise(last);
    this.#sink(last);
  }

  #rise(entry: Entry<Owner>): void {
    while (entry.position > 0) {
      const parent = this.#heap[(entry.position - 1) >> 1]!;
      if (!isBefore(entry, parent)) return;
      this.#swap(entry, parent);
    }
  }

  #sink(entry: Entry<Owner>): void {
    for (;;) {
      const left = this.#heap[2 * entry.position + 1];
      const right = this.#heap[2 * entry.position + 2];
      const child = right !== undefined && left !== undefined && isBefore(right, left) ? right : left;
      if (child === undefined || !isBefore(child, entry)) return;
      this.#swap(child, entry);
    }
  }

  #swap(a: Entry<Owner>, b: Entry<Owner>): void {
    const { position } = a;
    this.#place(a, b.position);
    this.#place(b, position);
  }

  #place(entry: Entry<Owner>, position: number): void {
    this.#heap[position] = entry;
    entry.position = position;
  }
}

function isBefore(a: Entry<unknown>, b: Entry<unknown>): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
