"use server";
import type { ProbeResult } from "../../../contract/hub-protocol.ts";
import type { ActionResult } from "../../_ui/action-result.ts";
import type { LinkPreview } from "../../_views.ts";
import type { WizardForm } from "./new/wizard-form.ts";
export async function previewLink(_form: WizardForm): Promise<ActionResult<LinkPreview[]>> {
  throw new Error("unwired");
}
export async function createLink(_form: WizardForm): Promise<ActionResult<{ id: string; secret: string | null }>> {
  throw new Error("unwired");
}
export async function rekeyLink(_id: string): Promise<ActionResult<{ message: string }>> {
  throw new Error("unwired");
}
export async function restartLink(_id: string): Promise<ActionResult<{ message: string }>> {
  throw new Error("unwired");
}
export async function setLinkEnabled(_id: string, _enabled: boolean): Promise<ActionResult<null>> {
  throw new Error("unwired");
}
export async function deleteLink(_id: string): Promise<ActionResult<null>> {
  throw new Error("unwired");
}
export async function sendTestTraffic(_id: string): Promise<ActionResult<ProbeResult>> {
  throw new Error("unwired");
}
export async function rollbackLink(_id: string, _version: number): Promise<ActionResult<null>> {
  throw new Error("unwired");
}
