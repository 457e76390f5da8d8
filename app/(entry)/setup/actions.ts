"use server";
import type { ActionResult } from "../../_ui/action-result.ts";
export async function finishSetup(_form: {
  code: string;
  name: string;
  email: string;
  password: string;
}): Promise<ActionResult<null>> {
  throw new Error("unwired");
}
