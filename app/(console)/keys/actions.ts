"use server";
import type { ActionResult } from "../../_ui/action-result.ts";
export async function replaceKey(_id: string): Promise<ActionResult<null>> {
  throw new Error("unwired");
}
