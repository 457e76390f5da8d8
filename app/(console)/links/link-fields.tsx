"use client";

import { useFormContext } from "react-hook-form";
import { TextField } from "../../_ui/field.tsx";
import type { WizardForm } from "./new/wizard-form.ts";

/* Fields that the wizard and the form of a saved link have in common. */

export interface PresetChoice {
  readonly id: string;
  readonly label: string;
  readonly description: string;
  readonly ikeProposals: readonly string[];
  readonly espProposals: readonly string[];
  readonly ikeRekeySeconds: number;
  readonly espRekeySeconds: number;
}

export function useFields() {
  const form = useFormContext<WizardForm>();
  const error = (name: keyof WizardForm) => form.formState.errors[name]?.message;
  return { ...form, error };
}

export function PeerFields() {
  const { register, error } = useFields();
  return (
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
  );
}

/** A preset fills the Advanced fields; what is changed there afterwards makes it a choice of one's own. */
export function PresetFields({ presets }: { presets: readonly PresetChoice[] }) {
  const { register, watch, setValue } = useFields();
  const chosen = watch("preset");

  function choose(id: string) {
    const preset = presets.find((candidate) => candidate.id === id);
    if (!preset) return;
    const options = { shouldDirty: true, shouldValidate: true };
    setValue("ikeProposals", preset.ikeProposals.join("\n"), options);
    setValue("espProposals", preset.espProposals.join("\n"), options);
    setValue("ikeRekeySeconds", preset.ikeRekeySeconds, options);
    setValue("espRekeySeconds", preset.espRekeySeconds, options);
  }

  return (
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
  );
}
