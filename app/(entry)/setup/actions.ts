"use server";

import { completeSetup } from "../../../server/auth/setup.ts";
import { refusedResult } from "../../_server/answer.ts";
import type { ActionResult } from "../../_ui/action-result.ts";

/** The one action that needs no session: the setup code stands for it. */
export async function finishSetup(form: { code: string; name: string; email: string; password: string }): Promise<ActionResult<null>> {
  try {
    await completeSetup(form);
    return { ok: true, value: null };
  } catch (error) {
    return refusedResult(error);
  }
}
