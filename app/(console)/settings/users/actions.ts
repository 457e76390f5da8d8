"use server";
import type { ActionResult } from "../../../_ui/action-result.ts";
export async function addUser(_form: {
  name: string;
  email: string;
  password: string;
  role: string;
}): Promise<ActionResult<null>> {
  throw new Error("unwired");
}
export async function setUserRole(_id: string, _role: string): Promise<ActionResult<null>> {
  throw new Error("unwired");
}
export async function setUserDisabled(_id: string, _disabled: boolean): Promise<ActionResult<null>> {
  throw new Error("unwired");
}
