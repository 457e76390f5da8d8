"use server";

import { revalidatePath } from "next/cache";
import type { ProbeResult } from "../../../contract/hub-protocol.ts";
import { runLinkCommand } from "../../../server/commands/run-command.ts";
import type { LinkPreflight } from "../../../server/links/preflight-link.ts";
import * as preflights from "../../../server/links/preflight-link.ts";
import type { LinkPreview } from "../../../server/links/preview-link.ts";
import * as previews from "../../../server/links/preview-link.ts";
import * as links from "../../../server/links/save-link.ts";
import * as replacements from "../../../server/rotation/replace-import.ts";
import { act } from "../../_server/answer.ts";
import type { ActionResult } from "../../_ui/action-result.ts";
import { splitList, type WizardForm } from "./new/wizard-form.ts";

export async function previewLink(form: WizardForm): Promise<ActionResult<LinkPreview[]>> {
  return act((actor) => previews.previewLink(actor, inputOf(form)));
}

export async function preflightLink(form: WizardForm): Promise<ActionResult<LinkPreflight>> {
  return act((actor) => preflights.preflightLink(actor, inputOf(form)));
}

export async function previewEdit(linkId: string, version: number, form: WizardForm): Promise<ActionResult<LinkPreview[]>> {
  return act((actor) => previews.previewEdit(actor, linkId, editOf(version, form)));
}

export async function preflightEdit(linkId: string, version: number, form: WizardForm): Promise<ActionResult<LinkPreflight>> {
  return act((actor) => preflights.preflightEdit(actor, linkId, editOf(version, form)));
}

export async function editLink(linkId: string, version: number, form: WizardForm): Promise<ActionResult<void>> {
  return changed(act((actor) => links.editLink(actor, linkId, editOf(version, form))));
}

export async function createLink(form: WizardForm): Promise<ActionResult<{ id: string; secret: string | null }>> {
  return changed(act((actor) => links.createLink(actor, inputOf(form))));
}

export async function rekeyLink(linkId: string): Promise<ActionResult<{ message: string }>> {
  return act(async (actor) => ({ message: (await runLinkCommand(actor, { name: "rekey", linkId, what: "all" })).message }));
}

export async function restartLink(linkId: string): Promise<ActionResult<{ message: string }>> {
  return act(async (actor) => ({ message: (await runLinkCommand(actor, { name: "restart", linkId })).message }));
}

/** 100 echoes of 1,000 octets, 20 ms apart. */
export async function sendTestTraffic(linkId: string): Promise<ActionResult<ProbeResult | null>> {
  return act(async (actor) => (await runLinkCommand(actor, { name: "probe", linkId, count: 100, intervalMilliseconds: 20, payloadBytes: 1_000 })).probe);
}

export async function setLinkEnabled(linkId: string, enabled: boolean): Promise<ActionResult<void>> {
  return changed(act((actor) => links.setLinkEnabled(actor, linkId, enabled)));
}

export async function deleteLink(linkId: string): Promise<ActionResult<void>> {
  return changed(act((actor) => links.deleteLink(actor, linkId)));
}

export async function rollbackLink(linkId: string, version: number): Promise<ActionResult<void>> {
  return changed(act((actor) => links.rollbackLink(actor, linkId, version)));
}

export async function replaceImported(linkId: string, certificateId: string): Promise<ActionResult<void>> {
  return changed(act((actor) => replacements.replaceImported(actor, linkId, { certificateId })));
}

async function changed<T>(result: Promise<ActionResult<T>>): Promise<ActionResult<T>> {
  const settled = await result;
  if (settled.ok) revalidatePath("/", "layout");
  return settled;
}

/** The wizard's texts as the server's form wants them. What a browser sends is not trusted to be a WizardForm: the server parses. */
function inputOf(form: WizardForm) {
  const { peerKind, siteBId, peerName, peerAddress, peerIdentity, networksA, networksB, ikeProposals, espProposals, protocol, ahProposals, secret, ...rest } =
    form;
  return {
    ...rest,
    peer: peerKind === "site" ? { kind: "site", siteId: siteBId } : { kind: "third-party", name: peerName, address: peerAddress, identity: peerIdentity },
    networksA: splitList(String(networksA)),
    networksB: splitList(String(networksB)),
    ikeProposals: splitList(String(ikeProposals)),
    espProposals: splitList(String(espProposals)),
    ah: protocol === "ah" ? { proposals: splitList(String(ahProposals)) } : null,
    secret: peerKind === "third-party" && secret !== "" ? secret : null,
  };
}

function editOf(version: number, form: WizardForm) {
  const { peer, ...settings } = inputOf(form);
  return { ...settings, version, peer: peer.kind === "site" ? null : peer };
}
