export interface Change {
  /** Dotted path of a leaf, `children[0].name`. */
  readonly path: string;
  /** undefined: not there on that side. */
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** The leaves that differ between two JSON values, in the order of the paths; a value alone (created, deleted) lists all its leaves. */
export function changesBetween(before: unknown, after: unknown): Change[] {
  const old = leavesOf(before);
  const fresh = leavesOf(after);
  const paths = [...new Set([...old.keys(), ...fresh.keys()])];
  return paths.filter((path) => old.get(path) !== fresh.get(path)).map((path) => ({ path, before: old.get(path), after: fresh.get(path) }));
}

function leavesOf(value: unknown, path = "", into = new Map<string, string>()): Map<string, string> {
  if (value === undefined || (value === null && path === "")) return into;
  if (Array.isArray(value) && value.every((item) => typeof item !== "object" || item === null)) into.set(path || "value", value.join(", "));
  else if (typeof value === "object" && value !== null) {
    for (const [key, inner] of Object.entries(value)) leavesOf(inner, Array.isArray(value) ? `${path}[${key}]` : path ? `${path}.${key}` : key, into);
  } else into.set(path || "value", String(value));
  return into;
}
