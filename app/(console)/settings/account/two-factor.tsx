"use client";

import { useRouter } from "next/navigation";
import { type FormEvent, useState } from "react";
import { encode } from "uqr";
import { authCall } from "../../../_auth/auth-call.ts";
import { CopyButton } from "../../../_ui/copy-button.tsx";
import { TextField } from "../../../_ui/field.tsx";
import { Panel } from "../../../_ui/page.tsx";
import { Status } from "../../../_ui/status.tsx";
import { useToasts } from "../../../_ui/toasts.tsx";

type Step = { readonly kind: "idle" } | { readonly kind: "scan"; readonly uri: string; readonly backupCodes: readonly string[] };

/** Enabling takes two steps: the password gives the secret (shown once), a code from the app proves that it arrived. */
export function TwoFactor({ enabled }: { enabled: boolean }) {
  const [step, setStep] = useState<Step>({ kind: "idle" });
  const [error, setError] = useState<string | null>(null);
  const router = useRouter();
  const toasts = useToasts();

  async function begin(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    const password = String(new FormData(form).get("password") ?? "");
    const answer = await authCall(enabled ? "/two-factor/disable" : "/two-factor/enable", { password });
    if (!answer.ok) return setError(answer.message);
    setError(null);
    form.reset();
    if (enabled) {
      toasts.add({ title: "Two-factor sign-in is off", type: "success" });
      router.refresh();
    } else {
      const codes = Array.isArray(answer.body.backupCodes) ? answer.body.backupCodes.map(String) : [];
      setStep({ kind: "scan", uri: String(answer.body.totpURI), backupCodes: codes });
    }
  }

  async function finish(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const code = String(new FormData(event.currentTarget).get("code") ?? "").replaceAll(" ", "");
    const answer = await authCall("/two-factor/verify-totp", { code });
    if (!answer.ok) return setError(answer.message);
    setError(null);
    setStep({ kind: "idle" });
    toasts.add({ title: "Two-factor sign-in is on", type: "success" });
    router.refresh();
  }

  return (
    <Panel title="Two-factor sign-in" actions={<Status name={enabled ? "enabled" : "disabled"} word={enabled ? "On" : "Off"} />}>
      {step.kind === "scan" ? (
        <form method="post" onSubmit={(event) => void finish(event)} className="space-y-4">
          <p className="text-[13px] text-text-2">Scan this with an authenticator app, then type the six digits it shows.</p>
          <div className="flex flex-wrap gap-6">
            <QrCode text={step.uri} />
            <div className="min-w-56 flex-1 space-y-2 text-[13px]">
              <p className="text-text-2">No camera? Type this secret into the app:</p>
              <code className="block break-all">{new URL(step.uri).searchParams.get("secret")}</code>
              <p className="pt-2 text-text-2">Backup codes, shown only now. Each signs you in once:</p>
              <code className="block whitespace-pre-wrap">{step.backupCodes.join("  ")}</code>
              <CopyButton text={step.backupCodes.join("\n")} label="Copy backup codes" />
            </div>
          </div>
          <div className="max-w-xs">
            <TextField label="Authentication code" name="code" inputMode="numeric" autoComplete="one-time-code" required error={error ?? undefined} />
          </div>
          <button type="submit" className="btn btn-primary">
            Verify and turn on
          </button>
        </form>
      ) : (
        <form method="post" onSubmit={(event) => void begin(event)} className="max-w-xs space-y-4">
          <p className="text-[13px] text-text-2">
            {enabled ? "Signing in asks for a code from your authenticator app." : "A stolen password alone will no longer sign anyone in."}
          </p>
          <TextField label="Confirm with your password" name="password" type="password" autoComplete="current-password" required error={error ?? undefined} />
          <button type="submit" className={`btn ${enabled ? "btn-danger" : "btn-primary"}`}>
            {enabled ? "Turn off" : "Set up"}
          </button>
        </form>
      )}
    </Panel>
  );
}

/** Dark on white in both themes: cameras want it so. */
function QrCode({ text }: { text: string }) {
  const { data, size } = encode(text, { ecc: "M", border: 2 });
  const path = data.flatMap((row, y) => row.flatMap((dark, x) => (dark ? [`M${x} ${y}h1v1h-1z`] : []))).join("");
  return (
    <svg
      role="img"
      aria-label="QR code of the authenticator secret"
      viewBox={`0 0 ${size} ${size}`}
      className="size-44 rounded-md bg-white"
      shapeRendering="crispEdges"
    >
      <path d={path} fill="#000" />
    </svg>
  );
}
