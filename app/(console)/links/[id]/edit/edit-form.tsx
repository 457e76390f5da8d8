"use client";

import { zodResolver } from "@hookform/resolvers/zod";
import { useRouter } from "next/navigation";
import { useRef, useState } from "react";
import { FormProvider, useForm } from "react-hook-form";
import type { LinkPreflight } from "../../../../../server/links/preflight-link.ts";
import type { LinkPreview } from "../../../../../server/links/preview-link.ts";
import type { LinkSettings } from "../../../../../server/links/read-link.ts";
import { TextField } from "../../../../_ui/field.tsx";
import { FailureNote } from "../../../../_ui/page.tsx";
import { useToasts } from "../../../../_ui/toasts.tsx";
import { settled } from "../../../../_ui/use-action.ts";
import { editLink, preflightEdit, previewEdit } from "../../actions.ts";
import { AdvancedFields } from "../../advanced-fields.tsx";
import { PeerFields, type PresetChoice, PresetFields } from "../../link-fields.tsx";
import { NetworksStep } from "../../new/steps.tsx";
import { useAskBeforeLeaving, useRecheckWhileTyping } from "../../new/use-form-manners.ts";
import { usualChoices, type WizardForm, wizardForm } from "../../new/wizard-form.ts";
import { GatewayPreviews, PreflightNote } from "../../review.tsx";

interface Review {
  readonly previews: readonly LinkPreview[];
  readonly preflight: LinkPreflight;
}

/** The settings of a saved link, then what saving them would change at each gateway, then the save. */
export function EditForm({ linkId, settings, presets }: { linkId: string; settings: LinkSettings; presets: readonly PresetChoice[] }) {
  const form = useForm<WizardForm>({ resolver: zodResolver(wizardForm), mode: "onTouched", defaultValues: valuesOf(settings) });
  const [review, setReview] = useState<Review | null>(null);
  const [refusal, setRefusal] = useState<{ message: string; requestId: string | null } | null>(null);
  const [busy, setBusy] = useState(false);
  const [saved, setSaved] = useState(false);
  const heading = useRef<HTMLHeadingElement>(null);
  const router = useRouter();
  const toasts = useToasts();
  const isThirdParty = settings.config.peer.kind === "third-party";

  useRecheckWhileTyping(form);
  useAskBeforeLeaving(form.formState.isDirty && !saved);

  function show(next: Review | null) {
    setReview(next);
    requestAnimationFrame(() => heading.current?.focus());
  }

  function refused(result: { message: string; fields: Record<string, string>; requestId: string | null }) {
    const atFields = Object.entries(result.fields).filter(([name]) => name in form.getValues());
    for (const [name, message] of atFields) form.setError(name as keyof WizardForm, { message });
    if (atFields.length === 0) setRefusal({ message: result.message, requestId: result.requestId });
    if (review !== null) show(null);
  }

  async function look() {
    setRefusal(null);
    if (!(await form.trigger())) return;
    setBusy(true);
    const values = form.getValues();
    const [previews, preflight] = [
      await settled(() => previewEdit(linkId, settings.version, values)),
      await settled(() => preflightEdit(linkId, settings.version, values)),
    ];
    setBusy(false);
    if (!previews.ok) return refused(previews);
    if (!preflight.ok) return refused(preflight);
    show({ previews: previews.value, preflight: preflight.value });
  }

  async function save() {
    setRefusal(null);
    setBusy(true);
    const result = await settled(() => editLink(linkId, settings.version, form.getValues()));
    setBusy(false);
    if (!result.ok) return refused(result);
    setSaved(true);
    toasts.add({ title: "Link saved", type: "success" });
    router.push(`/links/${linkId}`);
  }

  return (
    <FormProvider {...form}>
      <form
        method="post"
        className="panel max-w-3xl"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void (review === null ? look() : save());
        }}
      >
        <div className="panel-head">
          <h2 ref={heading} tabIndex={-1} className="outline-none">
            {review === null ? "Settings" : "Review"}
          </h2>
        </div>
        <div className="space-y-5 p-4">
          {refusal ? <FailureNote title="The link was not saved" message={refusal.message} requestId={refusal.requestId} /> : null}
          {review === null ? (
            <>
              <TextField label="Link name" error={form.formState.errors.name?.message} {...form.register("name")} />
              {isThirdParty ? <PeerFields /> : null}
              <NetworksStep nameA={settings.nameA} nameB={settings.nameB} />
              <PresetFields presets={presets} />
              <AdvancedFields open={settings.config.preset === "custom" || hasUnusualChoice(settings)} />
            </>
          ) : (
            <>
              <PreflightNote preflight={review.preflight} />
              <GatewayPreviews previews={review.previews} />
              <p className="text-[13px] text-text-2">
                Changed lifetimes apply from the next rekey on. Changed networks make that part of the tunnel anew; changed algorithms, names or addresses
                negotiate a new IKE SA beside the old one. Other links are not touched.
              </p>
            </>
          )}
        </div>
        <div className="flex justify-between border-t border-line p-4">
          <button type="button" className="btn" disabled={busy} onClick={() => (review === null ? router.push(`/links/${linkId}`) : show(null))}>
            {review === null ? "Cancel" : "Back"}
          </button>
          <button type="submit" className="btn btn-primary" disabled={busy || (review === null && !form.formState.isDirty)}>
            {busy ? "Checking…" : review === null ? "Review changes" : "Save changes"}
          </button>
        </div>
      </form>
    </FormProvider>
  );
}

/** Then the Advanced fields are shown at once: nobody should have to look for what makes this link different. */
function hasUnusualChoice(settings: LinkSettings): boolean {
  const values: Partial<Record<string, unknown>> = valuesOf(settings);
  return Object.entries(usualChoices).some(([name, usual]) => values[name] !== usual);
}

function valuesOf({ config, nameB }: LinkSettings): WizardForm {
  const { peer } = config;
  return {
    name: config.name,
    siteAId: config.siteAId,
    peerKind: peer.kind,
    siteBId: peer.kind === "site" ? peer.siteId : "",
    peerName: peer.kind === "site" ? "" : nameB,
    peerAddress: peer.kind === "site" ? "" : peer.address,
    peerIdentity: peer.kind === "site" ? "" : peer.identity,
    networksA: config.networksA.join("\n"),
    networksB: config.networksB.join("\n"),
    preset: config.preset,
    method: config.method,
    secret: "",
    certificateId: "",
    peerAuthorities: "",
    ikeProposals: config.ike.proposals.join("\n"),
    espProposals: config.esp.proposals.join("\n"),
    ikeRekeySeconds: config.ike.rekeySeconds,
    espRekeySeconds: config.esp.rekeySeconds,
    livenessSeconds: config.ike.livenessSeconds,
    livenessAction: config.ike.livenessAction,
    bringUp: config.bringUp,
    childless: config.ike.childless,
    revocation: config.revocation,
    replayWindowPackets: config.esp.replayWindowPackets,
    encapsulation: config.encapsulation,
    protocol: config.ah === null ? "esp" : "ah",
    ahProposals: config.ah === null ? usualChoices.ahProposals : config.ah.proposals.join("\n"),
    mode: config.mode,
    inactivitySeconds: config.inactivitySeconds,
  };
}
