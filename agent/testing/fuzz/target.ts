/** Something that reads octets from strangers. `run` throws for what it must not do: an error of another kind, or a broken promise. */
export interface Target {
  readonly name: string;
  /** Files whose code is to be reached. */
  readonly watched: readonly RegExp[];
  /** How long one input may take, in ms of the processor's time; absent: as long as a datagram may (search.ts). */
  readonly slowMs?: number;
  /** How many inputs are tried between two looks at what they have reached; absent: as search.ts has it. */
  readonly batch?: number;
  seeds(): readonly Uint8Array[];
  run(input: Uint8Array): void;
}

/** Runs it and lets pass only errors of these kinds, which are how it refuses. */
export function refusing(kinds: readonly (new (...args: never[]) => Error)[], work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!kinds.some((kind) => error instanceof kind)) throw error;
  }
}

export function require(condition: boolean, promise: string): void {
  if (!condition) throw new Error(`broken promise: ${promise}`);
}

/** Made once, when a target that needs them first runs. */
export function once<T>(make: () => T): () => T {
  let made: { value: T } | null = null;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

export const textOf = (input: Uint8Array): string => Buffer.from(input).toString("utf8");
