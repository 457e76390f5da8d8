"use client";

import { KeyRound } from "lucide-react";
import { useState } from "react";
import { When } from "../../_ui/clock.tsx";
import { CopyButton } from "../../_ui/copy-button.tsx";
import { Panel } from "../../_ui/page.tsx";
import { useAction } from "../../_ui/use-action.ts";
import { createEnrolment } from "./actions.ts";

/** The one command that makes a machine this site's gateway. The token in it is shown once, works once, for an hour. */
export function Enrolment({ siteId, again }: { siteId: string; again: boolean }) {
  const { run, busy } = useAction();
  const [issued, setIssued] = useState<{ command: string; expiresAt: string | number } | null>(null);
  async function issue() {
    const value = await run("Create command", () => createEnrolment(siteId));
    if (value) setIssued(value);
  }
  return (
    <Panel title={again ? "Enrol again" : "Connect the gateway"}>
      {issued ? (
        <div className="space-y-3">
          <p className="text-[13px] text-text-2">
            Run this on the gateway, as root. It works once and expires <When at={issued.expiresAt} />. This page says Connected by itself.
          </p>
          <pre
            className="mono overflow-x-auto rounded-md border border-line bg-raised p-3 break-all whitespace-pre-wrap"
            tabIndex={0}
            role="region"
            aria-label="Enrolment command"
          >
            {issued.command}
          </pre>
          <CopyButton text={issued.command} label="Copy command" />
        </div>
      ) : (
        <div className="space-y-3">
          <p className="text-[13px] text-text-2">
            {again
              ? "A new command gives the site a new gateway identity; the certificate in use is replaced when the gateway runs it."
              : "One command installs nothing else: it makes the gateway's key on the machine itself, proves this console by its authority, and connects."}
          </p>
          <button type="button" className={`btn ${again ? "" : "btn-primary"}`} disabled={busy !== null} onClick={() => void issue()}>
            <KeyRound aria-hidden className="size-4" /> {busy ? "Creating…" : "Create enrolment command"}
          </button>
        </div>
      )}
    </Panel>
  );
}
