"use client";

import { zodResolver } from "@hookform/resolvers/zod";
import { useRef, useState } from "react";
import { FormProvider, useForm } from "react-hook-form";
import type { ImportedCertificateView } from "../../../../server/keys/import-certificate.ts";
import type { LinkPreflight } from "../../../../server/links/preflight-link.ts";
import type { LinkPreview } from "../../../../server/links/preview-link.ts";
import { FailureNote } from "../../../_ui/page.tsx";
import { settled } from "../../../_ui/use-action.ts";
import { createLink, preflightLink, previewLink } from "../actions.ts";
import type { PresetChoice } from "../link-fields.tsx";
import { GatewayPreviews, PreflightNote } from "../review.tsx";
import { BringUp } from "./bring-up.tsx";
import { NetworksStep, ReviewSummary, SecurityStep, type SiteChoice, SitesStep } from "./steps.tsx";
import { useAskBeforeLeaving, useRecheckWhileTyping } from "./use-form-manners.ts";
import { usualChoices, type WizardForm, wizardForm } from "./wizard-form.ts";

const steps = [
  { id: "sites", label: "Sites", fields: ["name", "siteAId", "peerKind", "siteBId", "peerName", "peerAddress", "peerIdentity"] },
  { id: "networks", label: "Networks", fields: ["networksA", "networksB"] },
  {
    id: "security",
    label: "Security",
    fields: [
      "preset",
      "method",
      "secret",
      "certificateId",
      "peerAuthorities",
      "ikeProposals",
      "espProposals",
      "ikeRekeySeconds",
      "espRekeySeconds",
      "livenessSeconds",
      "livenessAction",
      "bringUp",
      "childless",
      "revocation",
      "replayWindowPackets",
      "encapsulation",
      "protocol",
      "ahProposals",
      "mode",
      "inactivitySeconds",
    ],
  },
  { id: "review", label: "Review", fields: [] },
  { id: "bring-up", label: "Bring up", fields: [] },
] as const satisfies readonly { id: string; label: string; fields: readonly (keyof WizardForm)[] }[];

interface Refusal {
  readonly message: string;
  readonly requestId: string | null;
}

/** Sites → networks → security → review of what each gateway will get → save and watch it come up. */
export function LinkWizard({
  sites,
  presets,
  certificates,
  firstSiteId,
}: {
  sites: readonly SiteChoice[];
  presets: readonly PresetChoice[];
  certificates: readonly ImportedCertificateView[];
  firstSiteId: string;
}) {
  const form = useForm<WizardForm>({
    resolver: zodResolver(wizardForm),
    mode: "onTouched",
    defaultValues: startingValues(sites, presets, firstSiteId),
  });
  const [step, setStep] = useState(0);
  const [preview, setPreview] = useState<readonly LinkPreview[] | null>(null);
  const [preflight, setPreflight] = useState<LinkPreflight | null>(null);
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const [saved, setSaved] = useState<{ id: string; secret: string | null } | null>(null);
  const [busy, setBusy] = useState(false);
  const heading = useRef<HTMLHeadingElement>(null);
  const current = steps[step] ?? steps[0];

  useRecheckWhileTyping(form);
  useAskBeforeLeaving(form.formState.isDirty && saved === null);

  function show(next: number) {
    setStep(next);
    // The new step's heading takes the focus, so that a screen reader says where we are.
    requestAnimationFrame(() => heading.current?.focus());
  }

  function nameOf(end: "A" | "B"): string {
    const values = form.getValues();
    if (end === "B" && values.peerKind === "third-party") return values.peerName || "the peer";
    const id = end === "A" ? values.siteAId : values.siteBId;
    return sites.find((site) => site.id === id)?.name ?? (end === "A" ? "the first site" : "the second site");
  }

  /** Puts the server's refusal at its fields and goes to the first step that has one. */
  function refused(result: { message: string; fields: Record<string, string>; requestId: string | null }) {
    const names = Object.keys(result.fields);
    for (const name of names) if (isFormField(name)) form.setError(name, { message: result.fields[name] ?? result.message });
    const target = steps.findIndex((candidate) => candidate.fields.some((field) => names.includes(field)));
    if (target >= 0) show(target);
    else setRefusal({ message: result.message, requestId: result.requestId });
  }

  async function next() {
    setRefusal(null);
    if (!(await form.trigger([...current.fields]))) return;
    // The server looks at the answers from the networks on: an overlap is refused at its field, not at the end.
    if (current.id !== "sites") {
      setBusy(true);
      const result = await settled(() => previewLink(form.getValues()));
      const tried = result.ok && current.id === "security" ? await settled(() => preflightLink(form.getValues())) : null;
      setBusy(false);
      if (!result.ok) return refused(result);
      if (tried !== null && !tried.ok) return refused(tried);
      setPreview(result.value);
      setPreflight(tried?.value ?? null);
    }
    show(step + 1);
  }

  async function save() {
    setRefusal(null);
    setBusy(true);
    const result = await settled(() => createLink(form.getValues()));
    setBusy(false);
    if (!result.ok) return refused(result);
    setSaved(result.value);
    show(4);
  }

  return (
    <FormProvider {...form}>
      <ol className="mb-5 flex flex-wrap gap-x-6 gap-y-2 text-[13px]" aria-label="Steps">
        {steps.map((each, index) => (
          <li
            key={each.id}
            aria-current={index === step ? "step" : undefined}
            className={`flex items-center gap-2 ${index === step ? "font-medium text-text" : "text-text-3"}`}
          >
            <span className={`grid size-5 place-items-center rounded-full text-[11px] ${index <= step ? "bg-accent text-on-accent" : "bg-off-bg text-off"}`}>
              {index + 1}
            </span>
            {each.label}
          </li>
        ))}
      </ol>
      <form
        method="post"
        className="panel max-w-3xl"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void (current.id === "review" ? save() : next());
        }}
      >
        <div className="panel-head">
          <h2 ref={heading} tabIndex={-1} className="outline-none">
            {current.label}
          </h2>
        </div>
        <div className="space-y-5 p-4">
          {refusal ? <FailureNote title="The link was refused" message={refusal.message} requestId={refusal.requestId} /> : null}
          {current.id === "sites" ? <SitesStep sites={sites} /> : null}
          {current.id === "networks" ? <NetworksStep nameA={nameOf("A")} nameB={nameOf("B")} /> : null}
          {current.id === "security" ? (
            <SecurityStep presets={presets} certificates={certificates} thirdParty={form.getValues("peerKind") === "third-party"} />
          ) : null}
          {current.id === "review" ? (
            <>
              <ReviewSummary nameA={nameOf("A")} nameB={nameOf("B")} />
              {preflight === null ? null : <PreflightNote preflight={preflight} />}
              <GatewayPreviews previews={preview ?? []} />
            </>
          ) : null}
          {current.id === "bring-up" && saved ? <BringUp linkId={saved.id} secret={saved.secret} /> : null}
        </div>
        {current.id === "bring-up" ? null : (
          <div className="flex justify-between border-t border-line p-4">
            <button type="button" className="btn" disabled={step === 0 || busy} onClick={() => show(step - 1)}>
              Back
            </button>
            <button type="submit" className="btn btn-primary" disabled={busy}>
              {busy ? "Checking…" : current.id === "review" ? "Create link" : "Continue"}
            </button>
          </div>
        )}
      </form>
    </FormProvider>
  );
}

function startingValues(sites: readonly SiteChoice[], presets: readonly PresetChoice[], firstSiteId: string): WizardForm {
  const preset = presets[0];
  const first = sites.find((site) => site.id === firstSiteId);
  return {
    name: "",
    siteAId: first?.id ?? "",
    peerKind: "site",
    siteBId: "",
    peerName: "",
    peerAddress: "",
    peerIdentity: "",
    networksA: first?.networks.join("\n") ?? "",
    networksB: "",
    preset: preset?.id ?? "",
    method: "psk",
    secret: "",
    certificateId: "",
    peerAuthorities: "",
    ikeProposals: preset?.ikeProposals.join("\n") ?? "",
    espProposals: preset?.espProposals.join("\n") ?? "",
    ikeRekeySeconds: preset?.ikeRekeySeconds ?? 14_400,
    espRekeySeconds: preset?.espRekeySeconds ?? 3_600,
    ...usualChoices,
  };
}

function isFormField(name: string): name is keyof WizardForm {
  return steps.some((step) => step.fields.some((field) => field === name));
}
