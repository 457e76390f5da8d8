"use client";

import { Menu } from "@base-ui/react/menu";
import { Activity, EllipsisVertical, FileKey, KeyRound, Pause, Pencil, Play, RefreshCw, RotateCcw, Trash2 } from "lucide-react";
import Link from "next/link";
import { useRouter } from "next/navigation";
import { useState } from "react";
import type { ImportedCertificateView } from "../../../../server/keys/import-certificate.ts";
import { Confirm } from "../../../_ui/dialog.tsx";
import { outcome, useAction } from "../../../_ui/use-action.ts";
import { ReplaceCertificate } from "./replace-certificate.tsx";
import { deleteLink, rekeyLink, restartLink, setLinkEnabled } from "../actions.ts";

/** What can be done to a link: rekey and restart at once, disabling and deleting only after the consequence was named. */
export function LinkActions({
  link,
  certificates,
  mayEdit,
  mayOperate,
}: {
  link: { id: string; name: string; enabled: boolean; children: number };
  /** What may come in place of our end's imported certificate; null: it has none. */
  certificates: readonly ImportedCertificateView[] | null;
  mayEdit: boolean;
  mayOperate: boolean;
}) {
  const { run, busy } = useAction();
  const [asked, setAsked] = useState<"disable" | "restart" | "replace" | "delete" | null>(null);
  const router = useRouter();
  if (!mayOperate) return null;
  const close = (open: boolean) => {
    if (!open) setAsked(null);
  };
  const item = "flex h-9 items-center gap-2 rounded-md px-2 text-[13px] outline-none data-[highlighted]:bg-raised";
  return (
    <>
      <button
        type="button"
        className="btn"
        disabled={busy !== null || !link.enabled}
        onClick={() => void run("Rekey", () => rekeyLink(link.id), "The link is being rekeyed; traffic keeps flowing")}
      >
        <RefreshCw aria-hidden className="size-4" /> {busy === "Rekey" ? "Rekeying…" : "Rekey now"}
      </button>
      <button type="button" className="btn" disabled={busy !== null || !link.enabled} onClick={() => setAsked("restart")}>
        <RotateCcw aria-hidden className="size-4" /> Restart
      </button>
      {mayEdit ? (
        <>
          <Link className="btn" href={`/links/${link.id}/edit`}>
            <Pencil aria-hidden className="size-4" /> Edit
          </Link>
          {link.enabled ? (
            <button type="button" className="btn" onClick={() => setAsked("disable")}>
              <Pause aria-hidden className="size-4" /> Disable
            </button>
          ) : (
            <button
              type="button"
              className="btn btn-primary"
              disabled={busy !== null}
              onClick={() => void run("Enable", () => setLinkEnabled(link.id, true), "Link enabled")}
            >
              <Play aria-hidden className="size-4" /> Enable
            </button>
          )}
          <Menu.Root>
            <Menu.Trigger className="btn btn-icon" aria-label="More actions">
              <EllipsisVertical aria-hidden className="size-4" />
            </Menu.Trigger>
            <Menu.Portal>
              <Menu.Positioner sideOffset={6} align="end" className="z-50">
                <Menu.Popup className="popup min-w-48 p-1">
                  <Menu.Item className={item} onClick={() => router.push("/keys")}>
                    <KeyRound aria-hidden className="size-4 text-text-3" /> Keys of this link
                  </Menu.Item>
                  <Menu.Item className={item} onClick={() => router.push(`/events?search=${encodeURIComponent(link.name)}`)}>
                    <Activity aria-hidden className="size-4 text-text-3" /> Events of this link
                  </Menu.Item>
                  {certificates === null ? null : (
                    <Menu.Item className={item} onClick={() => setAsked("replace")}>
                      <FileKey aria-hidden className="size-4 text-text-3" /> Replace certificate…
                    </Menu.Item>
                  )}
                  <Menu.Item className={`${item} text-down`} onClick={() => setAsked("delete")}>
                    <Trash2 aria-hidden className="size-4" /> Delete…
                  </Menu.Item>
                </Menu.Popup>
              </Menu.Positioner>
            </Menu.Portal>
          </Menu.Root>
        </>
      ) : null}
      <ReplaceCertificate linkId={link.id} certificates={certificates ?? []} open={asked === "replace"} onOpenChange={close} />
      <Confirm
        open={asked === "restart"}
        onOpenChange={close}
        title={`Restart ${link.name}?`}
        consequence="The tunnel drops and is negotiated anew; traffic pauses for about a second. Rekey now replaces the keys without a pause."
        confirmLabel="Restart link"
        onConfirm={() => outcome(restartLink(link.id))}
      />
      <Confirm
        open={asked === "disable"}
        onOpenChange={close}
        title={`Disable ${link.name}?`}
        consequence="Its tunnel drops on both gateways and traffic between its networks stops until the link is enabled again."
        confirmLabel="Disable link"
        danger
        onConfirm={() => outcome(setLinkEnabled(link.id, false))}
      />
      <Confirm
        open={asked === "delete"}
        onOpenChange={close}
        title={`Delete ${link.name}?`}
        consequence="Its tunnel drops on both gateways, its keys are destroyed, certificates that this console issued for it are revoked, and its history goes with it. This cannot be undone."
        confirmLabel="Delete link"
        danger
        typeToConfirm={link.name}
        onConfirm={async () => {
          const failure = await outcome(deleteLink(link.id));
          if (failure === null) router.push("/links");
          return failure;
        }}
      />
    </>
  );
}
