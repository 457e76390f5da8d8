"use client";

import { ChevronRight } from "lucide-react";
import Link from "next/link";
import { useFormContext } from "react-hook-form";
import { SelectField, TextAreaField, TextField } from "../../../_ui/field.tsx";
import { Status, type StatusName } from "../../../_ui/status.tsx";
import { splitList, type WizardForm } from "./wizard-form.ts";

export interface SiteChoice {
  readonly id: string;
  readonly name: string;
  readonly networks: readonly string[];
  readonly gateway: StatusName;
}

export interface PresetChoice {
  readonly id: string;
  readonly label: string;
  readonly description: string;
  readonly ikeProposals: readonly string[];
  readonly espProposals: readonly string[];
  readonly ikeRekeySeconds: number;
  readonly espRekeySeconds: number;
}

function useFields() {
  const form = useFormContext<WizardForm>();
  const error = (name: keyof WizardForm) => form.formState.errors[name]?.message;
  return { ...form, error };
}

export function SitesStep({ sites }: { sites: readonly SiteChoice[] }) {
  const { register, watch, setValue, getValues, getFieldState, error } = useFields();
  const kind = watch("peerKind");

  /** A name and the networks follow the choice until somebody writes their own. */
  function follow(end: "A" | "B", siteId: string) {
    const site = sites.find((candidate) => candidate.id === siteId);
    if (site) setValue(end === "A" ? "networksA" : "networksB", site.networks.join("\n"));
    const [nameA, nameB] = [getValues("siteAId"), getValues("siteBId")].map((id) => sites.find((candidate) => candidate.id === id)?.name);
    if (nameA !== undefined && nameB !== undefined && !getFieldState("name").isDirty) setValue("name", `${nameA} – ${nameB}`);
  }

  return (
    <>
      <div className="grid gap-4 sm:grid-cols-2">
        <div className="space-y-2">
          <SelectField label="First site" error={error("siteAId")} {...register("siteAId", { onChange: (event) => follow("A", event.target.value) })}>
            <option value="">Choose a site…</option>
            {sites.map((site) => (
              <option key={site.id} value={site.id}>
                {site.name}
              </option>
            ))}
          </SelectField>
          <GatewayState sites={sites} id={watch("siteAId")} />
        </div>
        <div className="space-y-2">
          {kind === "site" ? (
            <>
              <SelectField label="Second site" error={error("siteBId")} {...register("siteBId", { onChange: (event) => follow("B", event.target.value) })}>
                <option value="">Choose a site…</option>
                {sites.map((site) => (
                  <option key={site.id} value={site.id}>
                    {site.name}
                  </option>
                ))}
              </SelectField>
              <GatewayState sites={sites} id={watch("siteBId")} />
            </>
          ) : (
            <TextField label="Peer name" placeholder="Partner firewall" error={error("peerName")} {...register("peerName")} />
          )}
        </div>
      </div>
      <fieldset>
        <legend className="field-label">The other end is</legend>
        <div className="flex flex-wrap gap-x-6 gap-y-2 text-[13.5px]">
          <label className="flex items-center gap-2">
            <input type="radio" value="site" {...register("peerKind")} /> one of our sites
          </label>
          <label className="flex items-center gap-2">
            <input type="radio" value="third-party" {...register("peerKind")} /> a third-party peer
          </label>
        </div>
      </fieldset>
      {kind === "third-party" ? (
        <div className="grid gap-4 sm:grid-cols-2">
          <TextField label="Peer address" placeholder="203.0.113.7 or vpn.example.com" error={error("peerAddress")} {...register("peerAddress")} />
          <TextField
            label="Peer identity"
            placeholder="203.0.113.7"
            error={error("peerIdentity")}
            hint="What the peer sends as its IKE identity."
            {...register("peerIdentity")}
          />
        </div>
      ) : null}
      <TextField label="Link name" error={error("name")} {...register("name")} />
    </>
  );
}

function GatewayState({ sites, id }: { sites: readonly SiteChoice[]; id: string }) {
  const site = sites.find((candidate) => candidate.id === id);
  if (!site) return null;
  return (
    <p className="flex flex-wrap items-center gap-2 text-[12.5px] text-text-2">
      <Status name={site.gateway} />
      {site.gateway === "connected" ? null : (
        <span>
          The link waits until{" "}
          <Link className="link underline" href={`/sites/${site.id}`}>
            its gateway
          </Link>{" "}
          connects.
        </span>
      )}
    </p>
  );
}

export function NetworksStep({ nameA, nameB }: { nameA: string; nameB: string }) {
  const { register, error } = useFields();
  return (
    <>
      <p className="text-[13px] text-text-2">Traffic between these networks goes through the tunnel; anything else is left alone. One a line.</p>
      <div className="grid gap-4 sm:grid-cols-2">
        <TextAreaField label={`Networks at ${nameA}`} rows={4} spellCheck={false} error={error("networksA")} {...register("networksA")} />
        <TextAreaField label={`Networks at ${nameB}`} rows={4} spellCheck={false} error={error("networksB")} {...register("networksB")} />
      </div>
    </>
  );
}

export function SecurityStep({ presets, thirdParty }: { presets: readonly PresetChoice[]; thirdParty: boolean }) {
  const { register, watch, setValue, error, formState } = useFields();
  const chosen = watch("preset");
  const advancedWrong = ["ikeProposals", "espProposals", "ikeRekeySeconds", "espRekeySeconds", "livenessSeconds"].some((name) =>
    Object.hasOwn(formState.errors, name),
  );

  function choose(id: string) {
    const preset = presets.find((candidate) => candidate.id === id);
    if (!preset) return;
    setValue("ikeProposals", preset.ikeProposals.join("\n"));
    setValue("espProposals", preset.espProposals.join("\n"));
    setValue("ikeRekeySeconds", preset.ikeRekeySeconds);
    setValue("espRekeySeconds", preset.espRekeySeconds);
  }

  return (
    <>
      <fieldset>
        <legend className="field-label">Security preset</legend>
        <div className="grid gap-2">
          {presets.map((preset) => (
            <label
              key={preset.id}
              className={`flex items-start gap-3 rounded-md border p-3 text-[13.5px] ${chosen === preset.id ? "border-accent" : "border-line"}`}
            >
              <input
                type="radio"
                className="mt-1"
                value={preset.id}
                aria-label={preset.label}
                {...register("preset", { onChange: (event) => choose(event.target.value) })}
              />
              <span>
                <span className="font-medium">{preset.label}</span>
                <span className="block text-[13px] text-text-2">{preset.description}</span>
                <span className="mono block break-all text-text-2">{preset.ikeProposals[0]}</span>
              </span>
            </label>
          ))}
        </div>
      </fieldset>
      <fieldset>
        <legend className="field-label">The ends prove who they are with</legend>
        <div className="flex flex-wrap gap-x-6 gap-y-2 text-[13.5px]">
          <label className="flex items-center gap-2">
            <input type="radio" value="psk" {...register("method")} /> a pre-shared key
          </label>
          <label className="flex items-center gap-2">
            <input type="radio" value="certificate" {...register("method")} /> certificates
          </label>
        </div>
        <p className="hint">
          {watch("method") === "psk"
            ? "A key of 256 random bits is generated; it never leaves the server in clear but to the two gateways."
            : "The console's own authority issues a certificate to each end."}
        </p>
      </fieldset>
      {thirdParty && watch("method") === "psk" ? (
        <TextField
          label="Pre-shared key"
          type="password"
          autoComplete="off"
          hint="The key the peer already has. Leave empty to generate one: it is shown once, after saving."
          error={error("secret")}
          {...register("secret")}
        />
      ) : null}
      <details className="group rounded-md border border-line" open={advancedWrong || undefined}>
        <summary className="flex items-center gap-2 px-3 py-2 text-[13.5px] font-medium">
          <ChevronRight aria-hidden className="size-4 transition-transform group-open:rotate-90" /> Advanced
        </summary>
        <div className="grid gap-4 border-t border-line p-3 sm:grid-cols-2">
          <TextAreaField
            label="IKE proposals"
            rows={3}
            spellCheck={false}
            error={error("ikeProposals")}
            hint="One a line, the first is preferred."
            {...register("ikeProposals")}
          />
          <TextAreaField
            label="ESP proposals"
            rows={3}
            spellCheck={false}
            error={error("espProposals")}
            hint="A key exchange group here is perfect forward secrecy."
            {...register("espProposals")}
          />
          <TextField
            label="IKE rekey after, seconds"
            type="number"
            error={error("ikeRekeySeconds")}
            {...register("ikeRekeySeconds", { valueAsNumber: true })}
          />
          <TextField
            label="Child SA rekey after, seconds"
            type="number"
            error={error("espRekeySeconds")}
            {...register("espRekeySeconds", { valueAsNumber: true })}
          />
          <TextField
            label="Liveness check after, seconds"
            type="number"
            error={error("livenessSeconds")}
            hint="0: never."
            {...register("livenessSeconds", { valueAsNumber: true })}
          />
        </div>
      </details>
    </>
  );
}

/** The answers in one view, before what each gateway gets. */
export function ReviewSummary({ nameA, nameB }: { nameA: string; nameB: string }) {
  const { getValues } = useFields();
  const form = getValues();
  return (
    <dl className="facts">
      <dt>Link</dt>
      <dd className="font-medium">{form.name}</dd>
      <dt>{nameA}</dt>
      <dd className="mono">{splitList(form.networksA).join(", ")}</dd>
      <dt>{nameB}</dt>
      <dd className="mono">{splitList(form.networksB).join(", ")}</dd>
      <dt>Authentication</dt>
      <dd>{form.method === "psk" ? "Pre-shared key" : "Certificates"}</dd>
      <dt>IKE</dt>
      <dd className="mono">{splitList(form.ikeProposals).join(", ")}</dd>
      <dt>ESP</dt>
      <dd className="mono">{splitList(form.espProposals).join(", ")}</dd>
    </dl>
  );
}
