"use client";

import { CalendarClock, ChevronRight, CircleSlash, FlaskConical, Pause, Play, Plus, RotateCw, Trash2 } from "lucide-react";
import { useState } from "react";
import { useLive } from "../../_live/use-live.ts";
import type { RotationRunView as RotationRun, RotationsView as RotationsPage, ScheduleView } from "../../../server/rotation/schedules.ts";
import { Ago, When } from "../../_ui/clock.tsx";
import { Confirm, Modal } from "../../_ui/dialog.tsx";
import { Empty, PageHead, Panel } from "../../_ui/page.tsx";
import { Status } from "../../_ui/status.tsx";
import { outcome, useAction } from "../../_ui/use-action.ts";
import { deleteSchedule, giveUpRun, pauseSchedule, runRotation } from "./actions.ts";
import { ScheduleForm } from "./schedule-form.tsx";

/** Schedules with their next run, and the runs with every step and how it ended. */
export function RotationsPanel({
  initial,
  links,
  zones,
  mayEdit,
  mayOperate,
}: {
  initial: RotationsPage;
  links: readonly { id: string; name: string }[];
  zones: readonly string[];
  mayEdit: boolean;
  mayOperate: boolean;
}) {
  const { data = initial } = useLive<RotationsPage>({
    path: "/api/rotations",
    initial,
    watch: ["rotation"],
    everyMilliseconds: 5_000,
  });
  const [editing, setEditing] = useState<ScheduleView | "new" | null>(null);
  return (
    <>
      <PageHead
        title="Rotations"
        lead="A key is staged on both ends, both accept old and new, the tunnel is re-authenticated with the new, traffic verifies it, the old is retired. A failure puts the old key back. A gateway that is away is waited for, so that none is locked out."
        actions={
          mayEdit ? (
            <button type="button" className="btn btn-primary" onClick={() => setEditing("new")}>
              <Plus aria-hidden className="size-4" /> New schedule
            </button>
          ) : null
        }
      />
      <div className="space-y-4">
        <Panel title="Schedules" flush>
          {data.schedules.length === 0 ? (
            <Empty icon={CalendarClock} title="No schedule yet">
              Keys are replaced only when somebody does it under Keys. A schedule does it by itself, without an interruption.
            </Empty>
          ) : (
            <ul className="divide-y divide-line">
              {data.schedules.map((schedule) => (
                <ScheduleRow key={schedule.id} schedule={schedule} mayEdit={mayEdit} mayOperate={mayOperate} onEdit={() => setEditing(schedule)} />
              ))}
            </ul>
          )}
        </Panel>
        <Panel title="Runs" flush>
          {data.runs.length === 0 ? (
            <Empty icon={RotateCw} title="No run yet" />
          ) : (
            <ul className="divide-y divide-line">
              {data.runs.map((run) => (
                <RunEntry key={run.id} run={run} mayOperate={mayOperate} />
              ))}
            </ul>
          )}
        </Panel>
      </div>
      <Modal open={editing !== null} onOpenChange={(open) => !open && setEditing(null)} title={editing === "new" ? "New schedule" : "Edit schedule"}>
        {editing === null ? null : <ScheduleForm schedule={editing === "new" ? null : editing} links={links} zones={zones} onDone={() => setEditing(null)} />}
      </Modal>
    </>
  );
}

function ScheduleRow({ schedule, mayEdit, mayOperate, onEdit }: { schedule: ScheduleView; mayEdit: boolean; mayOperate: boolean; onEdit: () => void }) {
  const { run, busy } = useAction();
  const [asked, setAsked] = useState(false);
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-3 px-4 py-3 text-[13px]">
      <div className="min-w-52 flex-1">
        <p className="flex flex-wrap items-center gap-2">
          <span className="font-medium">{schedule.name}</span>
          <Status name={schedule.paused ? "paused" : "active"} />
        </p>
        <p className="text-text-2">
          {schedule.kind === "psk" ? "Pre-shared keys" : "Certificates"} of {schedule.linkName ?? "every link"} · <code>{schedule.cron}</code>{" "}
          {schedule.timeZone}
        </p>
        {schedule.problem !== null ? <p className="text-down">No next run: {schedule.problem}</p> : null}
        {schedule.nextRunAt === null ? null : (
          <p className="text-text-2">
            Next run <When at={schedule.nextRunAt} />
          </p>
        )}
      </div>
      <div className="flex flex-wrap gap-2">
        {mayOperate ? (
          <>
            <button
              type="button"
              className="btn"
              disabled={busy !== null}
              onClick={() => void run("Rotation", () => runRotation(schedule.id, false), "Rotation started")}
            >
              <RotateCw aria-hidden className="size-4" /> Rotate now
            </button>
            <button
              type="button"
              className="btn"
              disabled={busy !== null}
              onClick={() => void run("Dry run", () => runRotation(schedule.id, true), "Dry run started")}
            >
              <FlaskConical aria-hidden className="size-4" /> Dry run
            </button>
          </>
        ) : null}
        {mayEdit ? (
          <>
            <button
              type="button"
              className="btn"
              disabled={busy !== null}
              onClick={() =>
                void run(
                  schedule.paused ? "Resume" : "Pause",
                  () => pauseSchedule(schedule.id, !schedule.paused),
                  schedule.paused ? "Schedule resumed" : "Schedule paused",
                )
              }
            >
              {schedule.paused ? <Play aria-hidden className="size-4" /> : <Pause aria-hidden className="size-4" />}
              {schedule.paused ? "Resume" : "Pause"}
            </button>
            <button type="button" className="btn" onClick={onEdit}>
              Edit
            </button>
            <button type="button" className="btn btn-icon" aria-label={`Delete ${schedule.name}`} onClick={() => setAsked(true)}>
              <Trash2 aria-hidden className="size-4" />
            </button>
            <Confirm
              open={asked}
              onOpenChange={setAsked}
              title={`Delete ${schedule.name}?`}
              consequence="Nothing is rotated by it any more. The keys in use stay as they are, and so does the list of past runs."
              confirmLabel="Delete schedule"
              danger
              onConfirm={() => outcome(deleteSchedule(schedule.id))}
            />
          </>
        ) : null}
      </div>
    </li>
  );
}

/** One run: how it ended in a line, its steps behind it. */
function RunEntry({ run, mayOperate }: { run: RotationRun; mayOperate: boolean }) {
  const [asked, setAsked] = useState(false);
  return (
    <li>
      <details className="opener">
        <summary className="flex flex-wrap items-center gap-x-4 gap-y-1 px-4 py-2.5 text-[13px] hover:bg-raised">
          <ChevronRight aria-hidden className="opener-mark -mr-2 size-3.5 text-text-3" />
          <Status name={run.outcome} />
          <span className="font-medium">{run.linkName}</span>
          {run.dryRun ? <span className="tag">dry run</span> : null}
          <span className="min-w-0 flex-1 text-text-2">{run.sentence}</span>
          <span className="text-text-3">
            <Ago at={run.startedAt} />
          </span>
        </summary>
        <ol className="space-y-2 border-t border-line bg-raised px-4 py-3" aria-label="Steps">
          {run.steps.map((step) => (
            <li key={step.name} className="flex flex-wrap items-center gap-3 text-[13px]">
              <Status name={step.outcome} />
              <span className="font-medium">{step.name}</span>
              <span className="text-text-2">{step.message}</span>
            </li>
          ))}
        </ol>
        {mayOperate && run.isWaiting ? (
          <div className="border-t border-line bg-raised px-4 py-3">
            <button type="button" className="btn" aria-label={`Give up the rotation of ${run.linkName}`} onClick={() => setAsked(true)}>
              <CircleSlash aria-hidden className="size-4" /> Give up
            </button>
          </div>
        ) : null}
      </details>
      <Confirm
        open={asked}
        onOpenChange={setAsked}
        title={`Give up the rotation of ${run.linkName}?`}
        consequence="It goes back to the old key where that can still be done; once a gateway was told to forget the old key, the new one stays. A gateway that is away is waited for no longer: until it reaches the console again, it may be unable to authenticate to the other end."
        confirmLabel="Give up"
        danger
        onConfirm={() => outcome(giveUpRun(run.id))}
      />
    </li>
  );
}
