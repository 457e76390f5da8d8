"use client";

import { type FormEvent, useState } from "react";
import { authCall } from "../../_auth/auth-call.ts";
import { TextField } from "../../_ui/field.tsx";

/** Password first; when the account has a second factor, its six digits (or a backup code) next. */
export function SignInForm({ next }: { next: string }) {
  const [step, setStep] = useState<"password" | "totp" | "backup">("password");
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setBusy(true);
    setError(null);
    const answer = await send(step, form);
    if (!answer.ok) {
      setError(answer.message);
      setBusy(false);
    } else if (answer.body.twoFactorRedirect === true) {
      setStep("totp");
      setBusy(false);
    } else {
      // A full load, so that nothing rendered for nobody stays around.
      window.location.assign(next);
    }
  }

  return (
    <form method="post" onSubmit={(event) => void submit(event)} className="space-y-4" key={step}>
      {step === "password" ? (
        <>
          <TextField label="E-mail" name="email" type="email" autoComplete="username" required autoFocus />
          <TextField label="Password" name="password" type="password" autoComplete="current-password" required />
        </>
      ) : step === "totp" ? (
        <TextField
          label="Authentication code"
          name="code"
          inputMode="numeric"
          pattern="[0-9 ]{6,7}"
          autoComplete="one-time-code"
          required
          autoFocus
          hint="The six digits your authenticator app shows now."
        />
      ) : (
        <TextField
          label="Backup code"
          name="code"
          autoComplete="off"
          required
          autoFocus
          hint="One of the codes you saved when you enabled two-factor sign-in. It works once."
        />
      )}
      {error ? (
        <p role="alert" className="error">
          {error}
        </p>
      ) : null}
      <button type="submit" className="btn btn-primary h-9 w-full" disabled={busy}>
        {busy ? "Checking…" : step === "password" ? "Sign in" : "Verify"}
      </button>
      {step === "password" ? null : (
        <div className="flex justify-between text-[13px]">
          <button type="button" className="link" onClick={() => setStep("password")}>
            Start over
          </button>
          <button type="button" className="link" onClick={() => setStep(step === "totp" ? "backup" : "totp")}>
            {step === "totp" ? "Use a backup code" : "Use the app"}
          </button>
        </div>
      )}
    </form>
  );
}

function send(step: "password" | "totp" | "backup", form: FormData) {
  const text = (name: string) => String(form.get(name) ?? "");
  if (step === "password") return authCall("/sign-in/email", { email: text("email").trim(), password: text("password") });
  if (step === "totp") return authCall("/two-factor/verify-totp", { code: text("code").replaceAll(" ", "") });
  return authCall("/two-factor/verify-backup-code", { code: text("code").trim() });
}
