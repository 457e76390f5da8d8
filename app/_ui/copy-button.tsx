"use client";

import { Check, Copy } from "lucide-react";
import { useState } from "react";

/** Copies `text`; says so for two seconds. Without clipboard access (plain HTTP) it selects nothing and says what to do. */
export function CopyButton({ text, label = "Copy" }: { text: string; label?: string }) {
  const [state, setState] = useState<"idle" | "copied" | "refused">("idle");
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      setState("copied");
    } catch {
      setState("refused");
    }
    setTimeout(() => setState("idle"), 2_000);
  }
  return (
    <button type="button" className="btn" onClick={() => void copy()}>
      {state === "copied" ? <Check aria-hidden className="size-4" /> : <Copy aria-hidden className="size-4" />}
      <span aria-live="polite">{state === "copied" ? "Copied" : state === "refused" ? "Select and copy by hand" : label}</span>
    </button>
  );
}
