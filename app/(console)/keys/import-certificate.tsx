"use client";

import { Upload } from "lucide-react";
import { useState } from "react";
import { Modal } from "../../_ui/dialog.tsx";
import { TextField } from "../../_ui/field.tsx";
import { FailureNote } from "../../_ui/page.tsx";
import { useToasts } from "../../_ui/toasts.tsx";
import { settled } from "../../_ui/use-action.ts";
import { importCertificate } from "./actions.ts";

interface Refusal {
  readonly message: string;
  readonly fields: Record<string, string>;
  readonly requestId: string | null;
}

/** Opens the dialog in which an owner brings a certificate of another authority with its key. */
export function ImportCertificate() {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" className="btn btn-primary" onClick={() => setOpen(true)}>
        <Upload aria-hidden className="size-4" /> Import certificate
      </button>
      <Modal
        open={open}
        onOpenChange={setOpen}
        title="Import certificate"
        description="A certificate of another authority with its private key, for links to third-party peers. The key is encrypted at rest and never shown again; the password is not kept."
      >
        <ImportForm onDone={() => setOpen(false)} />
      </Modal>
    </>
  );
}

function ImportForm({ onDone }: { onDone: () => void }) {
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const [notice, setNotice] = useState<string | null>(null);
  const toasts = useToasts();

  async function submit(form: FormData) {
    setBusy(true);
    const result = await settled(() => importCertificate(form));
    setBusy(false);
    if (!result.ok) return setRefusal(result);
    toasts.add({ title: "Certificate imported", type: "success" });
    if (result.value.notice === null) onDone();
    else setNotice(result.value.notice);
  }

  if (notice !== null)
    return (
      <div className="space-y-4">
        <p role="status" className="rounded-md bg-deg-bg p-3 text-[13px]">
          {notice}
        </p>
        <div className="flex justify-end">
          <button type="button" className="btn btn-primary" onClick={onDone}>
            Understood
          </button>
        </div>
      </div>
    );
  const isAtField = refusal !== null && Object.keys(refusal.fields).length > 0;
  return (
    <form
      className="space-y-4"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void submit(new FormData(event.currentTarget));
      }}
    >
      {refusal !== null && !isAtField ? <FailureNote title="The certificate was not imported" message={refusal.message} requestId={refusal.requestId} /> : null}
      <TextField
        label="File"
        name="file"
        type="file"
        accept=".p12,.pfx,.pem,.crt,.cer,.key,application/x-pkcs12,application/x-pem-file"
        hint="PKCS #12 (.p12, .pfx), or PEM with certificate, intermediates and key in one file. At most 256 kB."
        error={refusal?.fields.file}
      />
      <TextField
        label="Password of the file"
        name="password"
        type="password"
        autoComplete="off"
        hint="The one that was set when it was exported. Empty: it has none."
        error={refusal?.fields.password}
      />
      <TextField label="Name" name="name" maxLength={80} hint="Empty: the certificate's own name." error={refusal?.fields.name} />
      <div className="flex justify-end">
        <button type="submit" className="btn btn-primary" disabled={busy}>
          {busy ? "Importing…" : "Import"}
        </button>
      </div>
    </form>
  );
}
