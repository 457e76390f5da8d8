"use client";

import { Check, TriangleAlert } from "lucide-react";
import type { LinkPreflight } from "../../../server/links/preflight-link.ts";
import type { LinkPreview } from "../../../server/links/preview-link.ts";
import { DiffView } from "../../_ui/diff-view.tsx";

/** What each gateway is told: for a saved link only what differs. */
export function GatewayPreviews({ previews }: { previews: readonly LinkPreview[] }) {
  const isNew = previews.every((preview) => preview.before === null);
  return (
    <div className="space-y-3">
      <h3>{isNew ? "What each gateway will get" : "What changes at each gateway"}</h3>
      {previews.map((preview) => (
        <details key={preview.siteName} open={previews.length < 3} className="rounded-md border border-line">
          <summary className="px-3 py-2 text-[13.5px] font-medium">{preview.siteName}</summary>
          <div className="border-t border-line p-3">
            <DiffView before={preview.before} after={preview.after} empty="Nothing changes for this gateway." />
          </div>
        </details>
      ))}
    </div>
  );
}

/** What the two ends' own negotiators said to it, run in memory. */
export function PreflightNote({ preflight }: { preflight: LinkPreflight }) {
  const agreed = preflight.outcome === "agreed";
  return (
    <section aria-label="Preflight" className={`rounded-lg border p-4 text-[13px] ${agreed ? "border-up bg-up-bg" : "border-down bg-down-bg"}`}>
      <p className={`flex items-start gap-2 font-medium ${agreed ? "text-up" : "text-down"}`}>
        {agreed ? <Check aria-hidden className="mt-0.5 size-4 shrink-0" /> : <TriangleAlert aria-hidden className="mt-0.5 size-4 shrink-0" />}
        <span>
          {agreed ? "" : "The tunnel would not come up: "}
          {preflight.sentence}
        </span>
      </p>
      {[...preflight.remarks, ...(preflight.assumption === null ? [] : [preflight.assumption])].map((remark) => (
        <p key={remark} className="mt-1 text-text-2">
          {remark}
        </p>
      ))}
    </section>
  );
}
