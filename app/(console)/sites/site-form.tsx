"use client";

import { useRouter } from "next/navigation";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { TextAreaField, TextField } from "../../_ui/field.tsx";
import { useToasts } from "../../_ui/toasts.tsx";
import { settled } from "../../_ui/use-action.ts";
import { networksProblem } from "../links/new/wizard-form.ts";
import { saveSite } from "./actions.ts";

interface SiteFields {
  name: string;
  networks: string;
  address: string;
}

/** Creates a site or changes one. The server refuses overlapping or malformed networks; its reason appears at the field. */
export function SiteForm({ site }: { site: { id: string; name: string; networks: readonly string[]; address: string | null } | null }) {
  const router = useRouter();
  const toasts = useToasts();
  const form = useForm<SiteFields>({
    mode: "onTouched",
    defaultValues: { name: site?.name ?? "", networks: site?.networks.join("\n") ?? "", address: site?.address ?? "" },
  });
  const [failure, setFailure] = useState<string | null>(null);
  const errors = form.formState.errors;

  async function save(fields: SiteFields) {
    setFailure(null);
    const result = await settled(() => saveSite({ id: site?.id ?? null, ...fields }));
    if (!result.ok) {
      for (const name of ["name", "networks", "address"] as const) if (result.fields[name]) form.setError(name, { message: result.fields[name] });
      if (Object.keys(result.fields).length === 0) setFailure(result.message);
      return;
    }
    if (site) {
      form.reset(fields);
      toasts.add({ title: "Site saved", type: "success" });
      router.refresh();
    } else router.push(`/sites/${result.value.id}`);
  }

  return (
    <form method="post" onSubmit={(event) => void form.handleSubmit(save)(event)} className="space-y-4" noValidate>
      <TextField
        label="Name"
        placeholder="Amsterdam"
        error={errors.name?.message}
        {...form.register("name", {
          required: "Give the site a name.",
          maxLength: { value: 80, message: "At most 80 characters." },
        })}
      />
      <TextAreaField
        label="Networks"
        rows={3}
        spellCheck={false}
        placeholder="10.1.0.0/24"
        hint="One a line: the networks behind this site's gateway."
        error={errors.networks?.message}
        {...form.register("networks", { validate: (text) => networksProblem(text) ?? true })}
      />
      <TextField
        label="Public address"
        placeholder="198.51.100.10"
        hint="Where other gateways reach this one. Leave empty behind a changing address: this end then starts the tunnels."
        error={errors.address?.message}
        {...form.register("address")}
      />
      {failure ? (
        <p role="alert" className="error">
          {failure}
        </p>
      ) : null}
      <div className="flex justify-end">
        <button type="submit" className="btn btn-primary" disabled={form.formState.isSubmitting || (site !== null && !form.formState.isDirty)}>
          {form.formState.isSubmitting ? "Saving…" : site ? "Save site" : "Create site"}
        </button>
      </div>
    </form>
  );
}
