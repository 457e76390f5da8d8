"use client";

import { useState } from "react";
import { useForm } from "react-hook-form";
import { authCall } from "../../_auth/auth-call.ts";
import { TextField } from "../../_ui/field.tsx";
import { settled } from "../../_ui/use-action.ts";
import { finishSetup } from "./actions.ts";

interface SetupFields {
  code: string;
  name: string;
  email: string;
  password: string;
}

/** The first account, an owner. Whoever can read the server's output has the code. */
export function SetupForm() {
  const form = useForm<SetupFields>({ mode: "onTouched", defaultValues: { code: "", name: "", email: "", password: "" } });
  const [failure, setFailure] = useState<string | null>(null);
  const errors = form.formState.errors;

  async function save(fields: SetupFields) {
    setFailure(null);
    const result = await settled(() => finishSetup(fields));
    if (!result.ok) {
      for (const name of ["code", "name", "email", "password"] as const) if (result.fields[name]) form.setError(name, { message: result.fields[name] });
      if (Object.keys(result.fields).length === 0) setFailure(result.message);
      return;
    }
    const answer = await authCall("/sign-in/email", { email: fields.email.trim(), password: fields.password });
    window.location.assign(answer.ok ? "/" : "/sign-in");
  }

  return (
    <form method="post" onSubmit={(event) => void form.handleSubmit(save)(event)} className="space-y-4" noValidate>
      <TextField
        label="Setup code"
        autoComplete="off"
        autoFocus
        spellCheck={false}
        hint="Printed by the server when it started."
        error={errors.code?.message}
        {...form.register("code", { required: "Type the code that the server printed." })}
      />
      <TextField label="Name" autoComplete="name" error={errors.name?.message} {...form.register("name", { required: "Give your name." })} />
      <TextField
        label="E-mail"
        type="email"
        autoComplete="username"
        error={errors.email?.message}
        {...form.register("email", { required: "Give your e-mail address." })}
      />
      <TextField
        label="Password"
        type="password"
        autoComplete="new-password"
        hint="At least 12 characters."
        error={errors.password?.message}
        {...form.register("password", {
          required: "Choose a password.",
          minLength: { value: 12, message: "Use at least 12 characters." },
        })}
      />
      {failure ? (
        <p role="alert" className="error">
          {failure}
        </p>
      ) : null}
      <button type="submit" className="btn btn-primary h-9 w-full" disabled={form.formState.isSubmitting}>
        {form.formState.isSubmitting ? "Creating…" : "Create account"}
      </button>
    </form>
  );
}
