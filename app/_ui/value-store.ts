import { useSyncExternalStore } from "react";

/**
 * One value that changes while pages are shown, handed down by a context that itself never changes. A context whose value changes before a
 * streamed page is there makes React draw that page anew beside the one that comes, and throw away what the server sent.
 */
export interface ValueStore<T> {
  /** What the server rendered with, and what hydration must render with. */
  readonly initial: T;
  get(): T;
  set(value: T): void;
  subscribe(listener: () => void): () => void;
}

export function valueStore<T>(initial: T): ValueStore<T> {
  const listeners = new Set<() => void>();
  let value = initial;
  return {
    initial,
    get: () => value,
    set(next) {
      value = next;
      for (const listener of listeners) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** The value now; whoever asks is drawn again when it changes, and nobody else. */
export function useStored<T>(store: ValueStore<T>): T {
  return useSyncExternalStore(store.subscribe, store.get, () => store.initial);
}
