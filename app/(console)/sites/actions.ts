"use server";
import type { ActionResult } from "../../_ui/action-result.ts";
import type { At } from "../../_views.ts";
export async function saveSite(_form: {
  id: string | null;
  name: string;
  networks: string;
  address: string;
}): Promise<ActionResult<{ id: string }>> {
  throw new Error("unwired");
}
export async function createEnrolment(_siteId: string): Promise<ActionResult<{ command: string; expiresAt: At }>> {
  throw new Error("unwired");
}
export async function revokeGateway(_siteId: string): Promise<ActionResult<null>> {
  throw new Error("unwired");
}
export async function deleteSite(_siteId: string): Promise<ActionResult<null>> {
  throw new Error("unwired");
}
