import { libc } from "./native.ts";
import { withScratch } from "./scratch.ts";

const IFNAMSIZ = 16;

/** Of the network device with this index in this thread's network namespace; null: there is none. */
export function deviceName(index: number): string | null {
  return withScratch(IFNAMSIZ, (arena, at) => {
    if (Number(libc.ifIndexToName(index, arena.address + at)) === 0) return null;
    const bytes = arena.bytes.slice(at, at + IFNAMSIZ);
    return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
  });
}
