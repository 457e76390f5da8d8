"use client";

import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useDeferredValue, useState } from "react";
import { readJson } from "../../_live/use-live.ts";
import type { ScheduleView } from "../../../server/rotation/schedules.ts";
import { SelectField, TextField } from "../../_ui/field.tsx";
import { settled } from "../../_ui/use-action.ts";
import { saveSchedule } from "./actions.ts";

const common = [
  { cron: "0 3 * * 0", label: "Sundays at 03:00" },
  { cron: "0 3 1 * *", label: "The first of each month at 03:00" },
  { cron: "0 3 1 */3 *", label: "Every third month at 03:00" },
] as const;

/** A schedule's form: what is replaced, when, in which time zone; the next three runs are shown while it is typed. */
export function ScheduleForm({
  schedule,
  links,
  zones,
  onDone,
}: {
  schedule: ScheduleView | null;
  links: readonly { id: string; name: string }[];
  zones: readonly string[];
  onDone: () => void;
}) {
  const [cron, setCron] = useState(schedule?.cron ?? common[0].cron);
  const [timeZone, setTimeZone] = useState(schedule?.timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone);
  const [errors, setErrors] = useState<{ message: string; fields: Record<string, string> } | null>(null);
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setBusy(true);
    const result = await settled(() =>
      saveSchedule({
        id: schedule?.id ?? null,
        name: String(form.get("name")),
        kind: String(form.get("kind")),
        linkId: String(form.get("linkId")) || null,
        cron,
        timeZone,
      }),
    );
    setBusy(false);
    if (result.ok) onDone();
    else setErrors(result);
  }

  return (
    <form method="post" onSubmit={(event) => void submit(event)} className="space-y-4">
      <TextField label="Name" name="name" required maxLength={80} defaultValue={schedule?.name ?? ""} error={errors?.fields.name} autoFocus />
      <div className="grid gap-4 sm:grid-cols-2">
        <SelectField label="Replaces" name="kind" defaultValue={schedule?.kind ?? "psk"} error={errors?.fields.kind}>
          <option value="psk">Pre-shared keys</option>
          <option value="certificate">Certificates</option>
        </SelectField>
        <SelectField label="Of" name="linkId" defaultValue={schedule?.linkId ?? ""} error={errors?.fields.linkId}>
          <option value="">every link</option>
          {links.map((link) => (
            <option key={link.id} value={link.id}>
              {link.name}
            </option>
          ))}
        </SelectField>
        <TextField
          label="Cron expression"
          name="cron"
          className="input mono"
          required
          value={cron}
          onChange={(event) => setCron(event.target.value)}
          error={errors?.fields.cron}
          hint="Minute, hour, day of month, month, day of week."
        />
        <SelectField label="Time zone" name="timeZone" value={timeZone} onChange={(event) => setTimeZone(event.target.value)} error={errors?.fields.timeZone}>
          {[...new Set([timeZone, "UTC", ...zones])].map((zone) => (
            <option key={zone}>{zone}</option>
          ))}
        </SelectField>
      </div>
      <div role="group" aria-label="Common schedules" className="flex flex-wrap gap-2">
        {common.map((choice) => (
          <button key={choice.cron} type="button" className="chip" aria-pressed={cron === choice.cron} onClick={() => setCron(choice.cron)}>
            {choice.label}
          </button>
        ))}
      </div>
      <NextRuns cron={cron} timeZone={timeZone} />
      {errors ? (
        <p role="alert" className="error">
          {errors.message}
        </p>
      ) : null}
      <div className="flex justify-end">
        <button type="submit" className="btn btn-primary" disabled={busy}>
          {busy ? "Saving…" : "Save schedule"}
        </button>
      </div>
    </form>
  );
}

function NextRuns({ cron, timeZone }: { cron: string; timeZone: string }) {
  const asked = useDeferredValue(`/api/rotations/preview?cron=${encodeURIComponent(cron)}&timeZone=${encodeURIComponent(timeZone)}`);
  const preview = useQuery({
    queryKey: [asked],
    queryFn: ({ signal }) => readJson<{ next: (string | number)[] }>(asked, signal),
    retry: false,
  });
  return (
    <div className="rounded-md bg-raised p-3 text-[13px]" aria-live="polite">
      <p className="font-medium">Next three runs</p>
      {preview.error ? (
        <p className="text-down">{preview.error.message}</p>
      ) : (
        <ul className="text-text-2">
          {(preview.data?.next ?? []).map((at) => (
            <li key={at}>{new Date(at).toLocaleString("en-GB", { timeZone, dateStyle: "full", timeStyle: "short" })}</li>
          ))}
        </ul>
      )}
    </div>
  );
}
