"use client";

import { useState } from "react";
import { Confirm } from "../../_ui/dialog.tsx";
import { CheckField } from "../../_ui/field.tsx";
import { outcome } from "../../_ui/use-action.ts";
import { revokeCertificate } from "./actions.ts";

/** Asks before a link certificate is taken back, and whether its end gets a new one with that. `of` null: closed. */
export function RevokeCertificate({ of, onClose }: { of: { readonly id: string; readonly name: string } | null; onClose: () => void }) {
  const [reissue, setReissue] = useState(true);
  const close = () => {
    setReissue(true);
    onClose();
  };
  return (
    <Confirm
      open={of !== null}
      onOpenChange={(open) => {
        if (!open) close();
      }}
      title={`Revoke the certificate of “${of?.name ?? ""}”?`}
      consequence="For a key that may be in strange hands. Every gateway refuses this certificate from now on and ends the tunnel that it authenticated. To replace a key without an interruption, use Replace. This cannot be undone."
      confirmLabel="Revoke certificate"
      danger
      onConfirm={async () => (of === null ? null : outcome(revokeCertificate(of.id, reissue)))}
    >
      <div className="mt-4">
        <CheckField
          label="Issue a new certificate now"
          hint={reissue ? "The tunnel comes back with it after a second or two." : "The tunnel stays down until you issue one, here or on the link's page."}
          checked={reissue}
          onChange={(event) => setReissue(event.target.checked)}
        />
      </div>
    </Confirm>
  );
}
