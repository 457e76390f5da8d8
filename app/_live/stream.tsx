"use client";

import { useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useContext, useEffect, useState } from "react";
import { useNow } from "../_ui/clock.tsx";
import { useStored, valueStore } from "../_ui/value-store.ts";
import { ageWords } from "../_ui/words.ts";
import { staleAfter } from "./backoff.ts";
import { followStream, type StreamState } from "./follow-stream.ts";

const newStream = () => valueStore<StreamState>({ kind: "connecting", lastHeardAt: null });
const Stream = createContext(newStream());

/** Keeps one event stream open for the whole console and invalidates exactly the queries that watch what changed. */
export function StreamProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [stream] = useState(newStream);
  useEffect(() => {
    const pending = new Set<string>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    function flush() {
      timer = undefined;
      if (pending.size === 0) return;
      const changed = new Set(pending);
      pending.clear();
      void client.invalidateQueries({ predicate: (query) => watches(query.meta?.watch, changed) });
      timer = setTimeout(flush, coalesceMilliseconds);
    }
    const end = followStream({
      onState: stream.set,
      onChanged: ({ resource, id }) => {
        pending.add(resource).add(`${resource}:${id}`);
        // The first change shows at once; a burst behind it is read a few times a second.
        if (timer === undefined) flush();
      },
      // What changed while nobody listened, as between the page's being made and its being here, is unknown: everything live is read again.
      onOpened: () => void client.invalidateQueries({ predicate: (query) => Array.isArray(query.meta?.watch) }),
    });
    return () => {
      clearTimeout(timer);
      end();
    };
  }, [client, stream]);
  return <Stream value={stream}>{children}</Stream>;
}

const coalesceMilliseconds = 300;

function watches(watch: unknown, changed: ReadonlySet<string>): boolean {
  return Array.isArray(watch) && watch.some((name) => changed.has(String(name)));
}

/** "Live · 2 s ago" in the top bar. */
export function LiveMark() {
  const stream = useStored(useContext(Stream));
  const now = useNow();
  const age = stream.lastHeardAt === null ? null : now - stream.lastHeardAt;
  const live = stream.kind === "open" && age !== null && age < staleAfter;
  return (
    <span className="inline-flex items-center gap-2 text-[12.5px] whitespace-nowrap text-text-2">
      <span aria-hidden className={`size-2 rounded-full ${live ? "bg-up" : "bg-off"}`} />
      <span>{live ? "Live" : stream.kind === "paused" ? "Paused" : "Not live"}</span>
      {age === null ? null : <span className="hidden text-text-3 sm:inline">· {ageWords(age)} ago</span>}
    </span>
  );
}

/** Across the top of the page while the stream is down: what is shown may be old. */
export function StreamBanner() {
  const stream = useStored(useContext(Stream));
  if (stream.kind !== "down") return null;
  return (
    <div role="status" className="border-b border-line bg-deg-bg px-4 py-2 text-[13px] text-deg">
      Live updates are interrupted
      {stream.reason === "signed-out" ? ": you are signed out. " : ". Reconnecting; what you see may be out of date. "}
      {stream.reason === "signed-out" ? (
        <a className="underline" href="/sign-in">
          Sign in again
        </a>
      ) : null}
    </div>
  );
}
