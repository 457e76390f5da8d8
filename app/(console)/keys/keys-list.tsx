"use client";

import { BadgeCheck, Ban, KeyRound, RefreshCw, Trash2 } from "lucide-react";
import Link from "next/link";
import { useState } from "react";
import { useLive } from "../../_live/use-live.ts";
import type { KeyView } from "../../../server/keys/list-keys.ts";
import { Age, When } from "../../_ui/clock.tsx";
import { Confirm } from "../../_ui/dialog.tsx";
import { Empty } from "../../_ui/page.tsx";
import { Status } from "../../_ui/status.tsx";
import { outcome, useAction } from "../../_ui/use-action.ts";
import { deleteImportedCertificate, reissueCertificate, replaceKey } from "./actions.ts";
import { RevokeCertificate } from "./revoke-certificate.tsx";

const kinds = { psk: "Pre-shared key", certificate: "Certificate", authority: "Authority" } as const;

/** Every key and certificate with what can be known of it: the secret itself is never among that. Soonest expiry first. */
export function KeysList({ initial, mayEdit, mayOperate }: { initial: KeyView[]; mayEdit: boolean; mayOperate: boolean }) {
  const { data: keys = initial } = useLive<KeyView[]>({ path: "/api/keys", initial, watch: ["key", "rotation", "link", "site"] });
  const [replacing, setReplacing] = useState<KeyView | null>(null);
  const [revoking, setRevoking] = useState<KeyView | null>(null);
  const [deleting, setDeleting] = useState<KeyView | null>(null);
  const { run, busy } = useAction();
  const actionsOf = (key: KeyView) => (
    <>
      {mayOperate && key.linkId !== null ? <ReplaceButton of={key} onAsk={setReplacing} /> : null}
      {mayEdit && key.isReissuable ? (
        <button
          type="button"
          className="btn"
          aria-label={`Issue a new certificate for ${key.name}`}
          disabled={busy !== null}
          onClick={() => void run("Issue a new certificate", () => reissueCertificate(key.id), "A new certificate was issued")}
        >
          <BadgeCheck aria-hidden className="size-4" /> Issue new
        </button>
      ) : null}
      {mayEdit && key.isRevocable ? (
        <button type="button" className="btn" aria-label={`Revoke ${key.name}`} onClick={() => setRevoking(key)}>
          <Ban aria-hidden className="size-4" /> Revoke
        </button>
      ) : null}
      {mayEdit && key.isImported ? (
        <button type="button" className="btn btn-icon" aria-label={`Delete ${key.name}`} onClick={() => setDeleting(key)}>
          <Trash2 aria-hidden className="size-4" />
        </button>
      ) : null}
    </>
  );
  if (keys.length === 0)
    return (
      <div className="panel">
        <Empty icon={KeyRound} title="No keys yet">
          Keys are made with the links that use them.
        </Empty>
      </div>
    );
  return (
    <>
      <div className="panel hidden overflow-hidden md:block">
        <table className="table">
          <caption className="sr-only">Keys and certificates</caption>
          <thead>
            <tr>
              <th>Key</th>
              <th>State</th>
              <th>Fingerprint</th>
              <th>Used by</th>
              <th className="num">Age</th>
              <th className="num">Expires</th>
              <th>
                <span className="sr-only">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {keys.map((key) => (
              <tr key={key.id}>
                <td>
                  <span className="block font-medium">{key.name}</span>
                  <span className="text-text-2">{key.isImported ? "Imported certificate" : kinds[key.kind]}</span>
                </td>
                <td>
                  <Status name={key.state} />
                </td>
                <td className="max-w-64">
                  <code className="block truncate" title={key.fingerprint}>
                    {key.fingerprint}
                  </code>
                </td>
                <td>
                  <UsedBy of={key} />
                </td>
                <td className="num">
                  <Age at={key.createdAt} />
                </td>
                <td className="num">
                  <When at={key.expiresAt} absent="never" />
                </td>
                <td className="num">
                  <span className="inline-flex gap-2">{actionsOf(key)}</span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <ul className="space-y-3 md:hidden">
        {keys.map((key) => (
          <li key={key.id} className="panel flex flex-col gap-2 p-4 text-[13px]">
            <div className="flex items-center justify-between gap-3">
              <span className="min-w-0 font-medium break-words">{key.name}</span>
              <Status name={key.state} />
            </div>
            <code className="block break-all text-text-2">{key.fingerprint}</code>
            <p className="text-text-2">
              {key.isImported ? "Imported certificate" : kinds[key.kind]} · <Age at={key.createdAt} /> old · expires <When at={key.expiresAt} absent="never" />
            </p>
            {key.kind === "authority" ? null : (
              <p>
                <span className="text-text-2">Used by </span>
                <UsedBy of={key} />
              </p>
            )}
            <div className="flex flex-wrap gap-2 empty:hidden">{actionsOf(key)}</div>
          </li>
        ))}
      </ul>
      <Confirm
        open={replacing !== null}
        onOpenChange={(open) => {
          if (!open) setReplacing(null);
        }}
        title={`Replace ${replacing?.name ?? ""}?`}
        consequence="A new key is made and staged on both ends; the tunnel is re-authenticated with it before the old one is retired, so traffic keeps flowing. Rotations shows the steps. If anything fails, the old key stays."
        confirmLabel="Replace key"
        onConfirm={async () => (replacing?.linkId ? outcome(replaceKey(replacing.linkId)) : null)}
      />
      <RevokeCertificate of={revoking} onClose={() => setRevoking(null)} />
      <Confirm
        open={deleting !== null}
        onOpenChange={(open) => {
          if (!open) setDeleting(null);
        }}
        title={`Delete ${deleting?.name ?? ""}?`}
        consequence="The certificate and its private key are destroyed here. Whoever still has the file can import it again. A certificate that a link uses cannot be deleted."
        confirmLabel="Delete certificate"
        danger
        onConfirm={async () => (deleting === null ? null : outcome(deleteImportedCertificate(deleting.id)))}
      />
    </>
  );
}

function ReplaceButton({ of, onAsk }: { of: KeyView; onAsk: (key: KeyView) => void }) {
  return (
    <button type="button" className="btn" aria-label={`Replace ${of.name}`} onClick={() => onAsk(of)}>
      <RefreshCw aria-hidden className="size-4" /> Replace
    </button>
  );
}

function UsedBy({ of }: { of: KeyView }) {
  if (of.usedBy.length === 0) return <span className="text-text-2">nothing</span>;
  return of.usedBy.map((user, index) => (
    <span key={user.href}>
      {index > 0 ? ", " : ""}
      <Link className="link" href={user.href}>
        {user.name}
      </Link>
    </span>
  ));
}
