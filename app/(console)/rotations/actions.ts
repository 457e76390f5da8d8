"use server";
import type { ActionResult } from "../../_ui/action-result.ts";
export async function saveSchedule(_form: {
  id: string | null;
  name: string;
  kind: string;
  linkId: string | null;
  cron: string;
  timeZone: string;
}): Promise<ActionResult<null>> {
  throw new Error("unwired");
}
export async function pauseSchedule(_id: string, _paused: boolean): Promise<ActionResult<null>> {
  throw new Error("unwired");
}
export async function runRotation(_id: string, _dryRun: boolean): Promise<ActionResult<null>> {
  throw new Error("unwired");
}
