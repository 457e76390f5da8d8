import { describe, expect, it } from "vitest";
import { LARGEST_PACKET, PathSearch } from "./path-search.ts";

interface Probing {
  /** Probes have sizes of a multiple of `grid`, less `offset`. */
  readonly grid?: number;
  readonly offset?: number;
  readonly says?: boolean;
}

/** Lets the search run over a path that takes packets of up to `takes` octets; every probe's size. */
function searched(search: PathSearch, takes: number, { grid = 1, offset = 0, says = false }: Probing = {}): number[] {
  const probes: number[] = [];
  for (let now = 0; search.nextAt <= now; now++) {
    const asked = search.probe;
    const octets = asked - ((asked + offset) % grid);
    probes.push(octets);
    if (probes.length > 60) throw new Error(`does not end: ${probes.join(" ")}`);
    if (octets <= takes) search.passed(octets, now);
    else if (says) search.told(takes, now);
    else search.failed(octets, now);
  }
  return probes;
}

describe("the search for a path's MTU", () => {
  it("asks once where nothing is in the way", () => {
    const search = new PathSearch(4, 0);
    expect(searched(search, 1_500)).toEqual([1_500]);
    expect([search.size, search.isKnown]).toEqual([1_500, true]);
  });

  it("takes a router's word for the size, and tries it", () => {
    for (const takes of [1_499, 1_492, 1_420, 1_280, 900]) {
      const search = new PathSearch(4, 0);
      expect(searched(search, takes, { says: true })).toEqual([1_500, takes]);
      expect([search.size, search.isKnown]).toEqual([takes, true]);
    }
  });

  const probings = [4, 6].flatMap((family) => [1, 4, 16].flatMap((grid) => Array.from({ length: grid }, (_, offset) => ({ family, grid, offset }))));
  it.each(probings)(
    "finds to 16 octets what an IPv$family path takes whose routers say nothing, in probes of $grid x n - $offset",
    ({ family, ...probing }) => {
      const least = family === 4 ? 576 + 16 : 1_280;
      for (let takes = least; takes <= 1_500; takes++) {
        const search = new PathSearch(family === 4 ? 4 : 6, 0);
        const probes = searched(search, takes, probing);
        expect(search.isKnown).toBe(true);
        expect(search.size).toBeLessThanOrEqual(takes);
        expect(search.size).toBeGreaterThan(takes - 16);
        expect(search.size).toBeGreaterThanOrEqual(family === 4 ? 576 : 1_280);
        expect(probes.length).toBeLessThan(30);
      }
    },
  );

  it("keeps to what every path carries while a size is in doubt", () => {
    const search = new PathSearch(6, 0);
    search.failed(LARGEST_PACKET, 0);
    expect(search.size).toBe(1_500);
    search.failed(LARGEST_PACKET, 1);
    expect(search.size).toBe(1_280);
  });

  it("notices that a path which carried a size does no more, and that it does again", () => {
    const search = new PathSearch(4, 0);
    searched(search, 1_500);
    const confirmedAt = search.nextAt;
    search.nextAt = 0;
    searched(search, 1_400);
    expect(search.size).toBeGreaterThan(1_400 - 16);
    expect(search.size).toBeLessThanOrEqual(1_400);
    // From time to time the same again; after ten minutes the most is tried once more.
    for (let now = search.nextAt; now < confirmedAt + 700_000; now = search.nextAt) {
      const asked = search.probe;
      if (asked <= 1_500) search.passed(asked, now);
      if (asked === 1_500) break;
    }
    expect(search.size).toBe(1_500);
  });

  it("believes nobody who says less than any path carries", () => {
    for (const [family, floor] of [
      [4, 576],
      [6, 1_280],
    ] as const) {
      const search = new PathSearch(family, 0);
      search.told(68, 0);
      expect(search.size).toBe(floor);
    }
  });

  it("is not raised by what a router says", () => {
    const search = new PathSearch(4, 0);
    searched(search, 1_400, { says: true });
    search.told(1_450, 10);
    expect(search.size).toBe(1_400);
  });
});
