"use server";

import { revalidatePath } from "next/cache";
import { Invalid } from "../../../server/errors.ts";
import * as imports from "../../../server/keys/import-certificate.ts";
import * as revocations from "../../../server/keys/revoke-certificate.ts";
import { requestLinkRun } from "../../../server/rotation/request-run.ts";
import { act } from "../../_server/answer.ts";
import type { ActionResult } from "../../_ui/action-result.ts";

/** Replacing a key is a rotation of its link, now. */
export async function replaceKey(linkId: string): Promise<ActionResult<void>> {
  return act((actor) => requestLinkRun(actor, linkId, false));
}

export async function revokeCertificate(credentialId: string, reissue: boolean): Promise<ActionResult<void>> {
  const result = await act((actor) => revocations.revokeCertificate(actor, credentialId, reissue === true));
  if (result.ok) revalidatePath("/", "layout");
  return result;
}

/** Gives an end whose certificate was revoked a new one. */
export async function reissueCertificate(credentialId: string): Promise<ActionResult<void>> {
  const result = await act((actor) => revocations.reissueCertificate(actor, credentialId));
  if (result.ok) revalidatePath("/", "layout");
  return result;
}

/** Takes the fields `file`, `password` and `name`. */
export async function importCertificate(form: FormData): Promise<ActionResult<{ id: string; notice: string | null }>> {
  const result = await act(async (actor) => {
    const file = form.get("file");
    const isChosen = file instanceof File && file.size > 0;
    if (!isChosen) throw new Invalid({ file: "Choose the file that holds the certificate and its private key." });
    return imports.importCertificate(actor, {
      name: String(form.get("name") ?? ""),
      password: String(form.get("password") ?? ""),
      file: new Uint8Array(await file.arrayBuffer()),
    });
  });
  if (result.ok) revalidatePath("/", "layout");
  return result;
}

export async function deleteImportedCertificate(id: string): Promise<ActionResult<void>> {
  const result = await act((actor) => imports.deleteImportedCertificate(actor, id));
  if (result.ok) revalidatePath("/", "layout");
  return result;
}
