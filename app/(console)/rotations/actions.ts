"use server";

import * as runs from "../../../server/rotation/give-up.ts";
import { requestScheduledRuns } from "../../../server/rotation/request-run.ts";
import * as schedules from "../../../server/rotation/schedules.ts";
import { act } from "../../_server/answer.ts";
import type { ActionResult } from "../../_ui/action-result.ts";

export async function saveSchedule(form: {
  id: string | null;
  name: string;
  kind: string;
  linkId: string | null;
  cron: string;
  timeZone: string;
}): Promise<ActionResult<void>> {
  const { id, ...input } = form;
  return act((actor) => schedules.saveSchedule(actor, id, input));
}

export async function pauseSchedule(id: string, paused: boolean): Promise<ActionResult<void>> {
  return act((actor) => schedules.pauseSchedule(actor, id, paused));
}

export async function deleteSchedule(id: string): Promise<ActionResult<void>> {
  return act((actor) => schedules.deleteSchedule(actor, id));
}

/** Answers what came of it, as a sentence. */
export async function giveUpRun(runId: string): Promise<ActionResult<{ sentence: string }>> {
  return act((actor) => runs.giveUpRun(actor, runId));
}

export async function runRotation(scheduleId: string, dryRun: boolean): Promise<ActionResult<void>> {
  return act((actor) => requestScheduledRuns(actor, scheduleId, dryRun));
}
