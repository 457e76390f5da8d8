"use client";

import { useState } from "react";
import type { SiteDetail, WorkerCounts } from "../../../../server/sites/list-sites.ts";
import { DiffView } from "../../../_ui/diff-view.tsx";
import { Confirm } from "../../../_ui/dialog.tsx";
import { CheckField, TextField } from "../../../_ui/field.tsx";
import { Panel } from "../../../_ui/page.tsx";
import { useToasts } from "../../../_ui/toasts.tsx";
import { outcome } from "../../../_ui/use-action.ts";
import { saveWorkers } from "../actions.ts";
import { isSame, workersConsequence, type WorkersNote, workersNote } from "./workers-note.ts";

const most = 16;
const problem = `A whole number from 1 to ${most}.`;

/** What is in the fields, as text. */
interface Draft {
  readonly outbound: string;
  readonly inbound: string;
  readonly isSplit: boolean;
}

/** How many processor cores of the gateway work on traffic: one number, or one a direction. What changes and what pauses is shown before it is saved. */
export function WorkersForm({ site }: { site: SiteDetail }) {
  const { wanted } = site.gateway.workers;
  /** null: nothing was typed, and what is saved shows, also when another admin changes it. */
  const [draft, setDraft] = useState<Draft | null>(null);
  const [isAsked, setAsked] = useState(false);
  const toasts = useToasts();
  const { isSplit, ...typed } = draft ?? draftOf(wanted);
  const outbound = countOf(typed.outbound);
  const inbound = isSplit ? countOf(typed.inbound) : outbound;
  const counts = outbound === null || inbound === null ? null : { outbound, inbound };
  const note = workersNote(site.gateway);
  const write = (change: Partial<Draft>) => setDraft({ isSplit, ...typed, ...change });
  return (
    <Panel title="Processor cores">
      <form
        method="post"
        className="space-y-4"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          if (counts !== null && !isSame(counts, wanted)) setAsked(true);
        }}
      >
        <CoreField
          label={isSplit ? "Cores to send" : "Cores for traffic"}
          hint={isSplit ? "Threads that encrypt what leaves." : hintOf(site.gateway.processors)}
          value={typed.outbound}
          onWrite={(text) => write({ outbound: text })}
        />
        {isSplit ? (
          <CoreField label="Cores to receive" hint="Threads that decrypt what arrives." value={typed.inbound} onWrite={(text) => write({ inbound: text })} />
        ) : null}
        <CheckField
          label="Set sending and receiving apart"
          checked={isSplit}
          onChange={({ target: { checked } }) => write({ isSplit: checked, inbound: typed.outbound })}
        />
        <WhatMoreCoresDo />
        {note === null ? null : <Note {...note} />}
        <div className="flex justify-end">
          <button type="submit" className="btn btn-primary" disabled={counts === null || isSame(counts, wanted)}>
            Review change
          </button>
        </div>
      </form>
      <Confirm
        open={isAsked}
        onOpenChange={setAsked}
        title={`Change the cores of ${site.name}?`}
        consequence={workersConsequence(site.gateway, site.links.length)}
        confirmLabel="Save and apply"
        onConfirm={async () => {
          if (counts === null) return null;
          const failure = await outcome(saveWorkers(site.id, counts));
          if (failure !== null) return failure;
          setDraft(null);
          toasts.add({ title: "Processor cores saved", type: "success" });
          return null;
        }}
      >
        <div className="mt-4 space-y-3">
          <DiffView before={{ gateway: settingsOf(wanted) }} after={{ gateway: settingsOf(counts ?? wanted) }} />
          <MoreThanThere processors={site.gateway.processors} counts={counts ?? wanted} />
        </div>
      </Confirm>
    </Panel>
  );
}

function WhatMoreCoresDo() {
  return (
    <details className="text-[13px] text-text-2">
      <summary className="link w-fit">What more cores do</summary>
      <p className="mt-2">
        Each core encrypts or decrypts the connections that fall to it. Between two Culvert gateways that both have more than one, each core gets a Child SA of
        its own beside one for all (RFC 9611), as many as the gateway with fewer has. A third-party peer keeps one Child SA: all cores send on it, one receives.
      </p>
    </details>
  );
}

function Note({ tone, sentence }: WorkersNote) {
  return (
    <p role="status" className={`rounded-md border p-3 text-[13px] ${tone === "warning" ? "border-deg bg-deg-bg text-deg" : "border-line text-text-2"}`}>
      {sentence}
    </p>
  );
}

function CoreField({ label, hint, value, onWrite }: { label: string; hint: string; value: string; onWrite: (text: string) => void }) {
  return (
    <TextField
      label={label}
      type="number"
      inputMode="numeric"
      min={1}
      max={most}
      step={1}
      value={value}
      hint={hint}
      error={countOf(value) === null ? problem : undefined}
      onChange={({ target }) => onWrite(target.value)}
    />
  );
}

function MoreThanThere({ processors, counts }: { processors: number | null; counts: WorkerCounts }) {
  if (processors === null || Math.max(counts.outbound, counts.inbound) <= processors) return null;
  return (
    <p className="rounded-md border border-deg bg-deg-bg p-3 text-[13px] text-deg">
      This machine has {processors} {processors === 1 ? "processor core" : "processor cores"}: more threads than that gain nothing.
    </p>
  );
}

function hintOf(processors: number | null): string {
  const has = processors === null ? "" : ` This machine has ${processors} ${processors === 1 ? "core" : "cores"}.`;
  return `1 suits most gateways: one thread encrypts, one decrypts. Take more when a core is busy with traffic all the time and others are idle.${has}`;
}

function settingsOf({ outbound, inbound }: WorkerCounts) {
  return { outboundWorkers: outbound, inboundWorkers: inbound };
}

function draftOf({ outbound, inbound }: WorkerCounts): Draft {
  return { outbound: String(outbound), inbound: String(inbound), isSplit: outbound !== inbound };
}

/** null: no number that a gateway takes. */
function countOf(text: string): number | null {
  return /^\d{1,2}$/.test(text) && Number(text) >= 1 && Number(text) <= most ? Number(text) : null;
}
