"use server";

import { requestLinkRun } from "../../../server/rotation/request-run.ts";
import { act } from "../../_server/answer.ts";
import type { ActionResult } from "../../_ui/action-result.ts";

/** Replacing a key is a rotation of its link, now. */
export async function replaceKey(linkId: string): Promise<ActionResult<void>> {
  return act((actor) => requestLinkRun(actor, linkId, false));
}
