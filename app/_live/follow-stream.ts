import { z } from "zod";
import { retryDelay, staleAfter } from "./backoff.ts";

export type StreamState =
  | { readonly kind: "connecting" | "open" | "paused"; readonly lastHeardAt: number | null }
  | { readonly kind: "down"; readonly lastHeardAt: number | null; readonly reason: "interrupted" | "signed-out" };

const changed = z.object({ resource: z.string(), id: z.string() });

interface Listener {
  onState(state: StreamState): void;
  onChanged(change: z.infer<typeof changed>): void;
  /** Nobody listened until now. */
  onOpened(): void;
}

/**
 * Opens `/api/stream` and keeps it open: reconnects with backoff, lets go while the tab is hidden. A single failed attempt is
 * not yet "down": the banner waits for the second. Returns the function that ends it.
 */
export function followStream(listener: Listener): () => void {
  let source: EventSource | null = null;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let attempt = 0;
  let lastHeardAt: number | null = null;

  function heard() {
    lastHeardAt = Date.now();
    listener.onState({ kind: "open", lastHeardAt });
  }

  function open() {
    if (document.hidden) return;
    const current = new EventSource("/api/stream");
    source = current;
    current.addEventListener("open", () => {
      attempt = 0;
      heard();
      listener.onOpened();
    });
    current.addEventListener("heartbeat", heard);
    current.addEventListener("changed", (event) => {
      heard();
      const change = changed.safeParse(JSON.parse(event.data));
      if (change.success) listener.onChanged(change.data);
    });
    current.addEventListener("error", () => lost(current));
  }

  function lost(current: EventSource) {
    current.close();
    if (source !== current) return;
    source = null;
    if (attempt >= 1) void explain();
    retry = setTimeout(open, retryDelay(attempt));
    attempt += 1;
  }

  async function explain() {
    const signedOut = await fetch("/api/session", { cache: "no-store" }).then(
      (response) => response.status === 401,
      () => false,
    );
    if (source === null) listener.onState({ kind: "down", lastHeardAt, reason: signedOut ? "signed-out" : "interrupted" });
  }

  function visibility() {
    clearTimeout(retry);
    source?.close();
    source = null;
    attempt = 0;
    if (document.hidden) listener.onState({ kind: "paused", lastHeardAt });
    else open();
  }

  // A connection can die without an error (a sleeping laptop): silence counts as one.
  const watchdog = setInterval(() => {
    if (source !== null && lastHeardAt !== null && Date.now() - lastHeardAt > staleAfter) lost(source);
  }, 5_000);

  document.addEventListener("visibilitychange", visibility);
  open();
  return () => {
    document.removeEventListener("visibilitychange", visibility);
    clearInterval(watchdog);
    clearTimeout(retry);
    source?.close();
    source = null;
  };
}
