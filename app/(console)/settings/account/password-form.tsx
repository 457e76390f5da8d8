"use client";

import { type FormEvent, useState } from "react";
import { authCall } from "../../../_auth/auth-call.ts";
import { TextField } from "../../../_ui/field.tsx";
import { Panel } from "../../../_ui/page.tsx";
import { useToasts } from "../../../_ui/toasts.tsx";

/** A new password signs every other session out. */
export function PasswordForm() {
  const toasts = useToasts();
  const [error, setError] = useState<{ field: "current" | "fresh" | "again"; sentence: string } | null>(null);
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const element = event.currentTarget;
    const form = new FormData(element);
    const text = (name: string) => String(form.get(name) ?? "");
    if (text("fresh").length < 12) return setError({ field: "fresh", sentence: "Use at least 12 characters." });
    if (text("fresh") !== text("again")) return setError({ field: "again", sentence: "The two do not match." });
    setBusy(true);
    const answer = await authCall("/change-password", {
      currentPassword: text("current"),
      newPassword: text("fresh"),
      revokeOtherSessions: true,
    });
    setBusy(false);
    if (!answer.ok) return setError({ field: "current", sentence: answer.message });
    setError(null);
    element.reset();
    toasts.add({ title: "Password changed", description: "Other sessions were signed out.", type: "success" });
  }

  const at = (field: string) => (error?.field === field ? error.sentence : undefined);
  return (
    <Panel title="Password">
      <form method="post" onSubmit={(event) => void submit(event)} className="max-w-xs space-y-4">
        <TextField label="Current password" name="current" type="password" autoComplete="current-password" required error={at("current")} />
        <TextField label="New password" name="fresh" type="password" autoComplete="new-password" required error={at("fresh")} hint="At least 12 characters." />
        <TextField label="New password again" name="again" type="password" autoComplete="new-password" required error={at("again")} />
        <button type="submit" className="btn btn-primary" disabled={busy}>
          {busy ? "Changing…" : "Change password"}
        </button>
      </form>
    </Panel>
  );
}
