"use server";

import * as users from "../../../../server/auth/users.ts";
import { act } from "../../../_server/answer.ts";
import type { ActionResult } from "../../../_ui/action-result.ts";

export async function addUser(form: { name: string; email: string; password: string; role: string }): Promise<ActionResult<void>> {
  return act((actor) => users.addUser(actor, form));
}

export async function setUserRole(id: string, role: string): Promise<ActionResult<void>> {
  return act((actor) => users.setUserRole(actor, id, role));
}

export async function setUserDisabled(id: string, disabled: boolean): Promise<ActionResult<void>> {
  return act((actor) => users.setUserDisabled(actor, id, disabled));
}
