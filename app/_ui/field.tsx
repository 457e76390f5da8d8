"use client";

import { type ComponentProps, type ReactNode, useId } from "react";
import { afterClick } from "./after-click.ts";

/** A labelled text input with hint and error wired for screen readers. Spread `register(...)` of react-hook-form into it. */
export function TextField({ label, hint, error, ...input }: { label: string; hint?: ReactNode; error?: string | undefined } & ComponentProps<"input">) {
  const id = useId();
  return (
    <FieldFrame id={id} label={label} hint={hint} error={error}>
      <input id={id} className="input" aria-invalid={error ? true : undefined} aria-describedby={described(id, hint, error)} {...afterClick(input)} />
    </FieldFrame>
  );
}

export function TextAreaField({ label, hint, error, ...input }: { label: string; hint?: ReactNode; error?: string | undefined } & ComponentProps<"textarea">) {
  const id = useId();
  return (
    <FieldFrame id={id} label={label} hint={hint} error={error}>
      <textarea id={id} className="input mono" aria-invalid={error ? true : undefined} aria-describedby={described(id, hint, error)} {...afterClick(input)} />
    </FieldFrame>
  );
}

export function SelectField({
  label,
  hint,
  error,
  children,
  ...select
}: { label: string; hint?: ReactNode; error?: string | undefined; children: ReactNode } & ComponentProps<"select">) {
  const id = useId();
  return (
    <FieldFrame id={id} label={label} hint={hint} error={error}>
      <select id={id} className="input" aria-invalid={error ? true : undefined} aria-describedby={described(id, hint, error)} {...afterClick(select)}>
        {children}
      </select>
    </FieldFrame>
  );
}

/** A box to tick, its label beside it. */
export function CheckField({ label, hint, ...input }: { label: string; hint?: ReactNode } & ComponentProps<"input">) {
  const id = useId();
  return (
    <div>
      <label className="flex items-center gap-2 text-[13.5px]" htmlFor={id}>
        <input id={id} type="checkbox" aria-describedby={described(id, hint, undefined)} {...input} /> {label}
      </label>
      {hint ? (
        <p id={`${id}-hint`} className="hint ml-[21px]">
          {hint}
        </p>
      ) : null}
    </div>
  );
}

function FieldFrame({ id, label, hint, error, children }: { id: string; label: string; hint: ReactNode; error: string | undefined; children: ReactNode }) {
  return (
    <div>
      <label className="field-label" htmlFor={id}>
        {label}
      </label>
      {children}
      {error ? (
        <p id={`${id}-error`} className="error">
          {error}
        </p>
      ) : null}
      {hint ? (
        <p id={`${id}-hint`} className="hint">
          {hint}
        </p>
      ) : null}
    </div>
  );
}

function described(id: string, hint: ReactNode, error: string | undefined): string | undefined {
  const ids = [error ? `${id}-error` : null, hint ? `${id}-hint` : null].filter((part) => part !== null);
  return ids.length > 0 ? ids.join(" ") : undefined;
}
