"use client";

import { useRouter } from "next/navigation";
import { useState } from "react";
import type { ActionResult } from "./action-result.ts";
import { useToasts } from "./toasts.tsx";

/** Runs a server action from a button: busy while it runs, a toast for how it ended. Answers the value, or null when refused. */
export function useAction() {
  const toasts = useToasts();
  const router = useRouter();
  const [busy, setBusy] = useState<string | null>(null);

  async function run<T>(name: string, action: () => Promise<ActionResult<T>>, done?: string | ((value: T) => string)): Promise<T | null> {
    setBusy(name);
    const result = await settled(action);
    setBusy(null);
    if (!result.ok) {
      toasts.add({ title: `${name} failed`, description: sentenceOf(result), type: "error", timeout: 12_000 });
      return null;
    }
    if (done !== undefined) toasts.add({ title: typeof done === "string" ? done : done(result.value), type: "success" });
    router.refresh();
    return result.value;
  }

  return { run, busy };
}

/** For a Confirm dialog: the error sentence, or null when it worked. */
export async function outcome<T>(action: Promise<ActionResult<T>>): Promise<string | null> {
  const result = await settled(() => action);
  return result.ok ? null : sentenceOf(result);
}

/** An action whose request never got an answer is a failure like any other, with words of its own. */
export async function settled<T>(action: () => Promise<ActionResult<T>>): Promise<ActionResult<T>> {
  try {
    return await action();
  } catch (error) {
    const message =
      error instanceof Error && error.message.includes("fetch")
        ? "The console could not be reached. Check that it is running, then try again."
        : "The console did not answer as expected. Reload the page and try again.";
    return { ok: false, message, fields: {}, requestId: null };
  }
}

function sentenceOf(result: { message: string; fields: Record<string, string>; requestId: string | null }): string {
  const first = Object.values(result.fields)[0];
  return `${result.message}${first && !result.message.includes(first) ? ` ${first}` : ""}${result.requestId ? ` (request ${result.requestId})` : ""}`;
}
