"use client";

import { ArrowDownLeft, ArrowUpRight, Download, GitBranch, MessagesSquare } from "lucide-react";
import { useState } from "react";
import type { TraceEntry } from "../../../../contract/observed-state.ts";
import type { LinkEnd } from "../../../../server/links/read-link.ts";
import { useLive } from "../../../_live/use-live.ts";
import { Empty, FailureNote } from "../../../_ui/page.tsx";
import { useAction } from "../../../_ui/use-action.ts";
import { downloadTrace } from "./download-trace.ts";

/** One entry as the API gives it: the trace of one end, with the site it came from. */
export type SitedTraceEntry = TraceEntry & { readonly siteName: string };

const faces = {
  sent: { icon: ArrowUpRight, word: "Sent", tone: "text-tx" },
  received: { icon: ArrowDownLeft, word: "Received", tone: "text-rx" },
  local: { icon: GitBranch, word: "Decided", tone: "text-text-2" },
} as const;

/** The decoded exchange of both ends on one time line; each entry opens to its payloads, or to the inputs of the choice. */
export function Negotiation({ linkId, ends, mayOperate }: { linkId: string; ends: readonly LinkEnd[]; mayOperate: boolean }) {
  const [site, setSite] = useState<string | null>(null);
  const [liveness, setLiveness] = useState(false);
  const trace = useLive<SitedTraceEntry[]>({
    path: `/api/links/${linkId}/trace${liveness ? "?liveness=1" : ""}`,
    watch: [`link:${linkId}`, `trace:${linkId}`],
    everyMilliseconds: 5_000,
  });
  const downloads = mayOperate ? <TraceDownloads linkId={linkId} ends={ends} /> : null;
  if (trace.error) return <FailureNote title="The negotiation could not be read" message={trace.error.message} />;
  if (!trace.data) return <div className="skeleton h-64" aria-hidden />;
  if (trace.data.length === 0)
    return (
      <div className="panel">
        <Empty icon={MessagesSquare} title="Nothing negotiated yet" action={downloads}>
          Each IKE message and each choice appears here as soon as a gateway reports it.
        </Empty>
      </div>
    );
  const sites = [...new Set(trace.data.map((entry) => entry.siteName))].sort();
  const entries = trace.data.filter((entry) => site === null || entry.siteName === site).toSorted((a, b) => b.at - a.at || b.sequence - a.sequence);
  return (
    <section aria-label="Negotiation">
      <div className="mb-3 flex flex-wrap gap-2" role="group" aria-label="Gateway">
        <button type="button" className="chip" aria-pressed={site === null} onClick={() => setSite(null)}>
          Both ends
        </button>
        {sites.map((name) => (
          <button key={name} type="button" className="chip" aria-pressed={site === name} onClick={() => setSite(name)}>
            {name}
          </button>
        ))}
      </div>
      <div className="mb-3 flex flex-wrap items-center justify-between gap-2">
        <button type="button" className="chip" aria-pressed={liveness} onClick={() => setLiveness(!liveness)}>
          Liveness checks
        </button>
        {downloads}
      </div>
      <ol className="panel divide-y divide-line">
        {entries.map((entry) => (
          <TimelineEntry key={`${entry.siteName}-${entry.sequence}-${entry.at}`} entry={entry} />
        ))}
      </ol>
    </section>
  );
}

/** A file for each end with a gateway of ours, fetched from that gateway now: `culvert-agent replay` decides it again. */
function TraceDownloads({ linkId, ends }: { linkId: string; ends: readonly LinkEnd[] }) {
  const { run, busy } = useAction();
  const ours = ends.filter((end) => end.siteId !== null);
  return (
    <div className="flex flex-wrap gap-2">
      {ours.map(({ siteId, siteName }) => {
        const name = `Trace of ${siteName}`;
        return (
          <button
            key={siteId}
            type="button"
            className="btn"
            disabled={busy !== null}
            onClick={() => void run(name, () => downloadTrace(linkId, siteId ?? ""), `${name} downloaded`)}
          >
            <Download aria-hidden className="size-4" />
            {busy === name ? `Fetching from ${siteName}…` : `Download trace of ${siteName}`}
          </button>
        );
      })}
    </div>
  );
}

function TimelineEntry({ entry }: { entry: SitedTraceEntry }) {
  const face = faces[entry.direction];
  const Icon = face.icon;
  return (
    <li>
      <details className="opener">
        <summary className="grid grid-cols-[auto_1fr] items-baseline gap-x-3 px-4 py-2 text-[13px] hover:bg-raised md:grid-cols-[100px_120px_240px_1fr]">
          <time className="mono text-text-3" dateTime={new Date(entry.at).toISOString()} suppressHydrationWarning>
            {clock(entry.at)}
          </time>
          <span className="text-text-2">{entry.siteName}</span>
          <span className={`flex flex-wrap items-baseline gap-x-1.5 ${face.tone}`}>
            <Icon aria-hidden className="size-3.5 shrink-0 self-center" />
            {face.word} <span className="text-text-2">{entry.exchange}</span>
          </span>
          <span className="min-w-0 break-words">{entry.summary}</span>
        </summary>
        <div className="border-t border-line bg-raised px-4 py-3">
          <Detail value={entry.detail} />
        </div>
      </details>
    </li>
  );
}

/** Nested facts as nested lists, so that a proposal reads as a proposal and not as JSON. */
function Detail({ value }: { value: unknown }) {
  if (value === null || typeof value !== "object") return <span className="mono break-all">{String(value)}</span>;
  if (Array.isArray(value)) {
    if (value.every((item) => typeof item !== "object" || item === null)) return <span className="mono break-words">{value.join(", ") || "none"}</span>;
    return (
      <ol className="space-y-2">
        {value.map((item, index) => (
          <li key={`${index}-${typeof item}`} className="border-l-2 border-line pl-3">
            <Detail value={item} />
          </li>
        ))}
      </ol>
    );
  }
  const entries = Object.entries(value);
  if (entries.length === 0) return <span className="text-[13px] text-text-2">Nothing more.</span>;
  return (
    <dl className="facts">
      {entries.map(([key, inner]) => (
        <FragmentPair key={key} name={key} value={inner} />
      ))}
    </dl>
  );
}

function FragmentPair({ name, value }: { name: string; value: unknown }) {
  return (
    <>
      <dt className="!text-text-2">{name}</dt>
      <dd>
        <Detail value={value} />
      </dd>
    </>
  );
}

function clock(at: number): string {
  const date = new Date(at);
  return `${date.toLocaleTimeString("en-GB")}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}
