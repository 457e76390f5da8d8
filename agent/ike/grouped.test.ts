import { assert, property, array, constantFrom, tuple } from "fast-check";
import { it } from "vitest";
import { Grouped } from "./grouped.ts";

const values = ["a", "b", "c"].map((name) => ({ name }));

it("holds what a map of sets holds, in the same order, after any additions and removals", () => {
  const step = tuple(constantFrom("add", "delete"), constantFrom("one", "other"), constantFrom(...values));
  assert(
    property(array(step, { maxLength: 30 }), (steps) => {
      const grouped = new Grouped<string, { name: string }>();
      const model = new Map<string, Set<{ name: string }>>();
      for (const [action, key, value] of steps) {
        const group = model.get(key) ?? new Set();
        grouped[action](key, value);
        group[action](value);
        if (group.size > 0) model.set(key, group);
        else model.delete(key);
      }
      const groups = [...model.values()].map((group) => [...group]);
      return (
        ["one", "other"].every((key) => same(grouped.get(key), [...(model.get(key) ?? [])])) &&
        same([...grouped.all()].toSorted(byName), groups.flat().toSorted(byName)) &&
        same(grouped.firsts().toSorted(byName), groups.map(([first]) => first!).toSorted(byName))
      );
    }),
  );
});

function byName(a: { name: string }, b: { name: string }): number {
  return a.name.localeCompare(b.name);
}

function same<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}
