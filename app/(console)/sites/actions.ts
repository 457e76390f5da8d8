"use server";

import { revalidatePath } from "next/cache";
import * as enrolment from "../../../server/sites/enrolment.ts";
import { setGatewayWorkers } from "../../../server/sites/gateway-workers.ts";
import * as sites from "../../../server/sites/save-site.ts";
import { act } from "../../_server/answer.ts";
import type { ActionResult } from "../../_ui/action-result.ts";
import { splitList } from "../links/new/wizard-form.ts";

export async function saveSite(form: { id: string | null; name: string; networks: string; address: string }): Promise<ActionResult<{ id: string }>> {
  const input = { name: form.name, networks: splitList(String(form.networks)), address: form.address };
  return changed(act((actor) => (form.id === null ? sites.createSite(actor, input) : sites.updateSite(actor, form.id, input))));
}

export async function createEnrolment(siteId: string): Promise<ActionResult<{ command: string; expiresAt: string }>> {
  return act(async (actor) => {
    const { command, expiresAt } = await enrolment.createEnrolmentToken(actor, siteId);
    return { command, expiresAt };
  });
}

export async function revokeGateway(siteId: string): Promise<ActionResult<void>> {
  return changed(act((actor) => enrolment.revokeGateway(actor, siteId)));
}

/** How many threads of a site's gateway send and receive; the gateway is told at once. */
export async function saveWorkers(siteId: string, counts: { outbound: number; inbound: number }): Promise<ActionResult<void>> {
  return changed(act((actor) => setGatewayWorkers(actor, siteId, counts)));
}

export async function deleteSite(siteId: string): Promise<ActionResult<void>> {
  return changed(act((actor) => sites.deleteSite(actor, siteId)));
}

async function changed<T>(result: Promise<ActionResult<T>>): Promise<ActionResult<T>> {
  const settled = await result;
  if (settled.ok) revalidatePath("/", "layout");
  return settled;
}
