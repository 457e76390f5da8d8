/** What is read for packets that are taken together: numbers from 0 stand for them. What each function returns is of no use but that it depends on all that was read. */
export interface AheadOf<Sa> {
  /** Where the SA would be, were it alone: of this no read waits for another. */
  readonly place: (index: number) => number;
  readonly find: (index: number) => Sa | null;
  /** The SA itself, what it leads to, and what that leads to, if anything. */
  readonly self: (sa: Sa) => number;
  readonly parts: (sa: Sa) => number;
  readonly ends: ((sa: Sa, index: number) => number) | null;
}

/**
 * Of thousands of SAs that packets go to in turn none is in the processor's cache, and all that is read of one is waited for (docs/packet-walk.md). So what packets need of their SAs is read for
 * all of them before the first is taken, in passes: a pass reads what the one before has led to, and within it no read waits for another. This decides nothing: it may be wrong, or left out.
 */
export class ReadAhead<Sa> {
  readonly #of: AheadOf<Sa>;
  readonly #sas: (Sa | null)[];
  /** For nobody: V8 leaves out a read of which nothing comes. */
  sum = 0;

  /** `capacity`: the most packets. */
  constructor(capacity: number, of: AheadOf<Sa>) {
    this.#of = of;
    this.#sas = Array.from({ length: capacity }, () => null);
  }

  /** For so many packets, of which one alone has nothing to be overlapped with. */
  run(count: number): void {
    if (count < 2) return;
    const { place, find, self, parts, ends } = this.#of;
    const sas = this.#sas;
    let sum = 0;
    for (let index = 0; index < count; index++) sum |= place(index);
    for (let index = 0; index < count; index++) {
      const sa = find(index);
      sas[index] = sa;
      if (sa !== null) sum |= self(sa);
    }
    for (let index = 0; index < count; index++) {
      const sa = sas[index];
      if (sa != null) sum |= parts(sa);
    }
    for (let index = 0; index < count; index++) {
      const sa = sas[index];
      if (sa != null && ends !== null) sum |= ends(sa, index);
      // It may be gone by the next time, and its keys with it.
      sas[index] = null;
    }
    this.sum = sum;
  }
}
