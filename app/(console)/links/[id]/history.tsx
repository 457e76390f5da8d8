"use client";

import { History as HistoryIcon, RotateCcw } from "lucide-react";
import { useState } from "react";
import { useLive } from "../../../_live/use-live.ts";
import type { LinkVersionView as LinkVersion } from "../../../../server/links/read-link.ts";
import { Ago } from "../../../_ui/clock.tsx";
import { DiffView } from "../../../_ui/diff-view.tsx";
import { Confirm } from "../../../_ui/dialog.tsx";
import { Empty, FailureNote } from "../../../_ui/page.tsx";
import { outcome } from "../../../_ui/use-action.ts";
import { rollbackLink } from "../actions.ts";

/** Every saved configuration, newest first, with what it changed and the way back to it. */
export function History({ linkId, mayEdit }: { linkId: string; mayEdit: boolean }) {
  const versions = useLive<LinkVersion[]>({ path: `/api/links/${linkId}/versions`, watch: [`link:${linkId}`] });
  const [asked, setAsked] = useState<LinkVersion | null>(null);
  if (versions.error) return <FailureNote title="The history could not be read" message={versions.error.message} />;
  if (!versions.data) return <div className="skeleton h-48" aria-hidden />;
  const list = versions.data;
  if (list.length === 0)
    return (
      <div className="panel">
        <Empty icon={HistoryIcon} title="No version yet" />
      </div>
    );
  const current = list[0];
  return (
    <>
      <ol className="panel divide-y divide-line">
        {list.map((version, index) => (
          <li key={version.version} className="p-4">
            <div className="flex flex-wrap items-center gap-x-4 gap-y-2 text-[13px]">
              <h2>Version {version.version}</h2>
              {index === 0 ? <span className="tag">current</span> : null}
              <span className="min-w-0 flex-1 text-text-2">
                {version.summary} · {version.actor} · <Ago at={version.at} />
              </span>
              {mayEdit && index > 0 ? (
                <button type="button" className="btn" onClick={() => setAsked(version)} aria-label={`Roll back to version ${version.version}`}>
                  <RotateCcw aria-hidden className="size-4" /> Roll back
                </button>
              ) : null}
            </div>
            <details className="mt-2 text-[13px]">
              <summary className="w-fit rounded text-text-2">{index === list.length - 1 ? "What it set" : "What it changed"}</summary>
              <div className="mt-2">
                <DiffView before={list[index + 1]?.config ?? null} after={version.config} />
              </div>
            </details>
          </li>
        ))}
      </ol>
      <Confirm
        open={asked !== null}
        onOpenChange={(open) => {
          if (!open) setAsked(null);
        }}
        title={`Roll back to version ${asked?.version ?? ""}?`}
        consequence={
          <div className="space-y-2">
            <p>
              A new version with the old settings is saved and pushed to both gateways. Whether the link is enabled stays as it is. Only what differs is
              touched:
            </p>
            <DiffView
              before={current?.config ?? null}
              after={asked === null || current === undefined ? null : { ...asked.config, enabled: current.config.enabled }}
            />
          </div>
        }
        confirmLabel="Roll back"
        onConfirm={async () => (asked ? outcome(rollbackLink(linkId, asked.version)) : null)}
      />
    </>
  );
}
