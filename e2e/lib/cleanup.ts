/**
 * What must not outlive this process: namespaces, child processes, directories. Every resource registers how to remove
 * itself by its id; whatever is still registered when the process ends (normally, by an error, by SIGINT or SIGTERM) is
 * removed then, newest first. Removal is synchronous because nothing else can run during `exit`.
 */

const pending = new Map<number, { readonly what: string; readonly remove: () => void }>();
let nextId = 1;
let installed = false;

/**
 * Registers `remove`, to be run at the end of the process at the latest.
 * @returns a function that runs it now, once; later calls do nothing.
 */
export function removeAtExit(what: string, remove: () => void): () => void {
  install();
  const id = nextId++;
  pending.set(id, { what, remove });
  return () => {
    if (pending.delete(id)) remove();
  };
}

/** Removes everything still registered, newest first. One failure does not keep the rest from being removed. */
export function removeAll(): void {
  for (const [id, { what, remove }] of [...pending].reverse()) {
    pending.delete(id);
    try {
      remove();
    } catch (error) {
      process.stderr.write(`could not remove ${what}: ${error instanceof Error ? error.message : String(error)}\n`);
    }
  }
}

/** Makes SIGINT, SIGTERM and SIGHUP end the process after removing everything. Not for programs with a shutdown of their own. */
export function exitOnSignals(): void {
  for (const [signal, number] of [
    ["SIGHUP", 1],
    ["SIGINT", 2],
    ["SIGTERM", 15],
  ] as const) {
    process.once(signal, () => process.exit(128 + number));
  }
}

function install(): void {
  if (installed) return;
  installed = true;
  process.once("exit", removeAll);
}
