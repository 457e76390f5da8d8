"use client";

import Link from "next/link";
import { useRouter } from "next/navigation";
import { useState } from "react";
import type { ImportedCertificateView } from "../../../../server/keys/import-certificate.ts";
import { Modal } from "../../../_ui/dialog.tsx";
import { SelectField } from "../../../_ui/field.tsx";
import { FailureNote } from "../../../_ui/page.tsx";
import { settled } from "../../../_ui/use-action.ts";
import { replaceImported } from "../actions.ts";

interface Refusal {
  readonly message: string;
  readonly fields: Record<string, string>;
  readonly requestId: string | null;
}

/** Chooses the imported certificate that our end of a link to a third-party peer shows from now on. */
export function ReplaceCertificate(props: {
  linkId: string;
  certificates: readonly ImportedCertificateView[];
  open: boolean;
  onOpenChange: (open: boolean) => void;
}) {
  return (
    <Modal
      open={props.open}
      onOpenChange={props.onOpenChange}
      title="Replace certificate"
      description="The gateway authenticates anew with the certificate that you choose, beside the tunnel that is up, and the old one goes when traffic passes under the new one. If the peer refuses it, the old one stays. Rotations shows the steps."
    >
      <ReplaceForm linkId={props.linkId} certificates={props.certificates} />
    </Modal>
  );
}

function ReplaceForm({ linkId, certificates }: { linkId: string; certificates: readonly ImportedCertificateView[] }) {
  const [certificateId, setCertificateId] = useState("");
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const router = useRouter();

  async function submit() {
    setBusy(true);
    const result = await settled(() => replaceImported(linkId, certificateId));
    setBusy(false);
    if (result.ok) router.push("/rotations");
    else setRefusal(result);
  }

  return (
    <form
      className="space-y-4"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      {refusal !== null && refusal.fields.certificateId === undefined ? (
        <FailureNote title="The certificate was not replaced" message={refusal.message} requestId={refusal.requestId} />
      ) : null}
      <SelectField
        label="New certificate"
        value={certificateId}
        error={refusal?.fields.certificateId}
        hint={
          <>
            For the same identity.{" "}
            <Link className="link underline" href="/keys">
              Import another under Keys
            </Link>
            .
          </>
        }
        onChange={(event) => {
          setCertificateId(event.target.value);
          setRefusal(null);
        }}
      >
        <option value="">Choose a certificate…</option>
        {certificates.map((certificate) => (
          <option key={certificate.id} value={certificate.id}>
            {certificate.name} ({certificate.identity}, until {certificate.notAfter.slice(0, 10)})
          </option>
        ))}
      </SelectField>
      <div className="flex justify-end">
        <button type="submit" className="btn btn-primary" disabled={busy}>
          {busy ? "Checking…" : "Replace"}
        </button>
      </div>
    </form>
  );
}
