import { Arena } from "./arena.ts";

let arena: Arena | null = null;

/** Runs `use` with `octets` of zeroed memory, for a native call that keeps no address of it. Zeroed again afterwards. One arena a thread serves all of them. */
export function withScratch<T>(octets: number, use: (arena: Arena, at: number) => T): T {
  arena ??= new Arena(1);
  const at = arena.allocate(octets);
  try {
    return use(arena, at);
  } finally {
    arena.free(at, octets);
  }
}
