"use client";

import { Check, Circle, LoaderCircle, X } from "lucide-react";
import Link from "next/link";
import { useLive } from "../../../_live/use-live.ts";
import type { LinkDetail } from "../../../../server/links/read-link.ts";
import { CopyButton } from "../../../_ui/copy-button.tsx";
import { FailureNote } from "../../../_ui/page.tsx";
import { bringUpSteps } from "./bring-up-steps.ts";

const faces = {
  waiting: { icon: Circle, word: "Waiting", tone: "text-text-3" },
  running: { icon: LoaderCircle, word: "In progress", tone: "text-neg" },
  done: { icon: Check, word: "Done", tone: "text-up" },
  failed: { icon: X, word: "Failed", tone: "text-down" },
} as const;

/** The way of a new link from saved to carrying traffic, ticked one by one as the gateways report it. */
export function BringUp({ linkId, secret }: { linkId: string; secret: string | null }) {
  const link = useLive<LinkDetail>({ path: `/api/links/${linkId}`, watch: [`link:${linkId}`, "site"], everyMilliseconds: 1_000 });
  if (link.error) return <FailureNote title="The link's state could not be read" message={link.error.message} />;
  const steps = link.data ? bringUpSteps(link.data) : [];
  const up = steps.length > 0 && steps.every((step) => step.state === "done");
  return (
    <div className="space-y-5">
      {secret === null ? null : <SecretOnce secret={secret} ends={link.data?.ends ?? []} />}
      <ol className="space-y-3" aria-label="Progress" aria-live="polite">
        {steps.map((step) => {
          const face = faces[step.state];
          const Icon = face.icon;
          return (
            <li key={step.label} className="flex items-start gap-3">
              <Icon aria-hidden className={`mt-0.5 size-4 shrink-0 ${face.tone} ${step.state === "running" ? "animate-[spin_1.4s_linear_infinite]" : ""}`} />
              <div className="min-w-0">
                <p className={step.state === "waiting" ? "text-text-2" : "font-medium"}>
                  {step.label} <span className={`ml-1 text-[12.5px] font-normal ${face.tone}`}>{face.word}</span>
                </p>
                {step.note ? <p className="text-[13px] text-text-2">{step.note}</p> : null}
              </div>
            </li>
          );
        })}
      </ol>
      <div className="flex flex-wrap items-center gap-3">
        <Link href={`/links/${linkId}`} className="btn btn-primary">
          Open link
        </Link>
        <span role="status" className="text-[13px] text-text-2">
          {up ? "The link is up and carries traffic." : "You can leave this page; the gateways keep trying."}
        </span>
      </div>
    </div>
  );
}

/** All that whoever runs the peer must be told: the key, which no page shows again, and how our end presents itself. */
function SecretOnce({ secret, ends }: { secret: string; ends: LinkDetail["ends"] }) {
  const ours = ends.find((end) => end.siteId !== null);
  const theirs = ends.find((end) => end.siteId === null);
  return (
    <div className="rounded-md border border-line bg-raised p-3 text-[13px]">
      <p className="font-medium">Pre-shared key for the peer, shown only now</p>
      <code className="my-2 block break-all">{secret}</code>
      <CopyButton text={secret} label="Copy key" />
      {ours && theirs ? (
        <dl className="facts mt-3">
          <dt>Our address</dt>
          <dd className="mono">{ours.address ?? "changing: we start the tunnel"}</dd>
          <dt>Our identity</dt>
          <dd className="mono">{ours.identity}</dd>
          <dt>Our networks</dt>
          <dd className="mono">{ours.networks.join(", ")}</dd>
          <dt>The peer's identity</dt>
          <dd className="mono">{theirs.identity}</dd>
          <dt>The peer's networks</dt>
          <dd className="mono">{theirs.networks.join(", ")}</dd>
        </dl>
      ) : null}
    </div>
  );
}
