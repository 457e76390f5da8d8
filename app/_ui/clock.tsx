"use client";

import { createContext, type ReactNode, useContext, useEffect, useState } from "react";
import { useStored, valueStore } from "./value-store.ts";
import { ageWords, exactTime, timeOf, type Instant, untilWords } from "./words.ts";

const Clock = createContext(valueStore(0));

/** One clock for every relative time on the page, so that they all tick together; starts at the server's time to hydrate equal. */
export function ClockProvider({ children, serverNow }: { children: ReactNode; serverNow: number }) {
  const [clock] = useState(() => valueStore(serverNow));
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) clock.set(Date.now());
    }, 1_000);
    return () => clearInterval(timer);
  }, [clock]);
  return <Clock value={clock}>{children}</Clock>;
}

/** Milliseconds since 1970, renewed every second. */
export function useNow(): number {
  return useStored(useContext(Clock));
}

/** "4 min ago", with the exact time on hover; "—" for an instant that never was. */
export function Ago({ at, absent = "—" }: { at: Instant; absent?: string }) {
  const now = useNow();
  const instant = timeOf(at);
  if (instant === null) return <span>{absent}</span>;
  return (
    <time dateTime={new Date(instant).toISOString()} title={exactTime(instant)} suppressHydrationWarning>
      {ageWords(now - instant)} ago
    </time>
  );
}

/** "in 12 min" or "3 min ago" for an instant that may lie on either side. */
export function When({ at, absent = "—" }: { at: Instant; absent?: string }) {
  const now = useNow();
  const instant = timeOf(at);
  if (instant === null) return <span>{absent}</span>;
  return (
    <time dateTime={new Date(instant).toISOString()} title={exactTime(instant)} suppressHydrationWarning>
      {untilWords(instant - now)}
    </time>
  );
}

/** "4 min" since an instant, without "ago": for ages and uptimes. */
export function Age({ at, absent = "—" }: { at: Instant; absent?: string }) {
  const now = useNow();
  const instant = timeOf(at);
  if (instant === null) return <span>{absent}</span>;
  return (
    <time dateTime={new Date(instant).toISOString()} title={exactTime(instant)} suppressHydrationWarning>
      {ageWords(now - instant)}
    </time>
  );
}
