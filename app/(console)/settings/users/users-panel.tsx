"use client";

import { UserPlus } from "lucide-react";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { useLive } from "../../../_live/use-live.ts";
import type { UserView } from "../../../../server/auth/users.ts";
import { Ago } from "../../../_ui/clock.tsx";
import { Confirm, Modal } from "../../../_ui/dialog.tsx";
import { SelectField, TextField } from "../../../_ui/field.tsx";
import { PageHead } from "../../../_ui/page.tsx";
import { Status } from "../../../_ui/status.tsx";
import { outcome, settled, useAction } from "../../../_ui/use-action.ts";
import { addUser, setUserDisabled, setUserRole } from "./actions.ts";

const roles = [
  { value: "viewer", label: "Viewer", can: "sees everything but secrets" },
  { value: "operator", label: "Operator", can: "also rekeys, restarts, rotates" },
  { value: "owner", label: "Owner", can: "also changes sites, links, keys and users" },
] as const;

/** Who may sign in and as what. Owners change it; everybody else reads it. */
export function UsersPanel({ initial, ownId, mayEdit }: { initial: UserView[]; ownId: string; mayEdit: boolean }) {
  const { data: users = initial } = useLive<UserView[]>({ path: "/api/users", initial, watch: ["user"] });
  const { run, busy } = useAction();
  const [adding, setAdding] = useState(false);
  const [disabling, setDisabling] = useState<UserView | null>(null);
  return (
    <>
      <PageHead
        title="Users"
        lead="Roles are enforced by the server for every action, whatever a page shows."
        actions={
          mayEdit ? (
            <button type="button" className="btn btn-primary" onClick={() => setAdding(true)}>
              <UserPlus aria-hidden className="size-4" /> Add user
            </button>
          ) : null
        }
      />
      <ul className="panel divide-y divide-line" aria-label="Users">
        {users.map((user) => (
          <li key={user.id} className="flex flex-wrap items-center gap-x-6 gap-y-3 px-4 py-3 text-[13px]">
            <div className="min-w-52 flex-1">
              <p className="flex flex-wrap items-center gap-2">
                <span className="font-medium">{user.name}</span>
                {user.disabled ? <Status name="disabled" /> : null}
              </p>
              <p className="break-all text-text-2">{user.email}</p>
              <p className="text-text-3">
                Two-factor {user.twoFactorEnabled ? "on" : "off"} · added <Ago at={user.createdAt} />
              </p>
            </div>
            {mayEdit && user.id !== ownId ? (
              <div className="flex items-center gap-2">
                <select
                  className="input w-32"
                  aria-label={`Role of ${user.name}`}
                  value={user.role}
                  disabled={busy !== null}
                  onChange={(event) => void run("Change role", () => setUserRole(user.id, event.target.value), "Role changed")}
                >
                  {roles.map((role) => (
                    <option key={role.value} value={role.value}>
                      {role.label}
                    </option>
                  ))}
                </select>
                {user.disabled ? (
                  <button
                    type="button"
                    className="btn h-9"
                    aria-label={`Enable ${user.name}`}
                    disabled={busy !== null}
                    onClick={() => void run("Enable", () => setUserDisabled(user.id, false), "User enabled")}
                  >
                    Enable
                  </button>
                ) : (
                  <button type="button" className="btn h-9" aria-label={`Disable ${user.name}`} onClick={() => setDisabling(user)}>
                    Disable
                  </button>
                )}
              </div>
            ) : (
              <span className="tag">{roles.find((role) => role.value === user.role)?.label ?? user.role}</span>
            )}
          </li>
        ))}
      </ul>
      <Modal open={adding} onOpenChange={setAdding} title="Add user" description="Tell them the password on another channel; they change it under Account.">
        <AddUserForm onDone={() => setAdding(false)} />
      </Modal>
      <Confirm
        open={disabling !== null}
        onOpenChange={(open) => {
          if (!open) setDisabling(null);
        }}
        title={`Disable ${disabling?.name ?? ""}?`}
        consequence="They are signed out everywhere at once and cannot sign in until they are enabled again. What they did stays in the events."
        confirmLabel="Disable user"
        danger
        onConfirm={async () => (disabling ? outcome(setUserDisabled(disabling.id, true)) : null)}
      />
    </>
  );
}

interface AddUserFields {
  name: string;
  email: string;
  password: string;
  role: string;
}

function AddUserForm({ onDone }: { onDone: () => void }) {
  const form = useForm<AddUserFields>({ defaultValues: { name: "", email: "", password: "", role: "viewer" }, mode: "onTouched" });
  const errors = form.formState.errors;
  async function save(fields: AddUserFields) {
    const result = await settled(() => addUser(fields));
    if (result.ok) return onDone();
    form.setError("root", { message: result.message });
    for (const name of ["name", "email", "password", "role"] as const) if (result.fields[name]) form.setError(name, { message: result.fields[name] });
  }
  return (
    <form method="post" onSubmit={(event) => void form.handleSubmit(save)(event)} className="space-y-4" noValidate>
      <TextField label="Name" autoComplete="off" error={errors.name?.message} {...form.register("name", { required: "Give a name." })} />
      <TextField
        label="E-mail"
        type="email"
        autoComplete="off"
        error={errors.email?.message}
        {...form.register("email", { required: "Give an e-mail address." })}
      />
      <TextField
        label="Password"
        type="password"
        autoComplete="new-password"
        hint="At least 12 characters."
        error={errors.password?.message}
        {...form.register("password", {
          minLength: { value: 12, message: "Use at least 12 characters." },
          required: "Give a password.",
        })}
      />
      <SelectField label="Role" error={errors.role?.message} {...form.register("role")}>
        {roles.map((role) => (
          <option key={role.value} value={role.value}>
            {role.label}: {role.can}
          </option>
        ))}
      </SelectField>
      {errors.root ? (
        <p role="alert" className="error">
          {errors.root.message}
        </p>
      ) : null}
      <div className="flex justify-end">
        <button type="submit" className="btn btn-primary" disabled={form.formState.isSubmitting}>
          {form.formState.isSubmitting ? "Adding…" : "Add user"}
        </button>
      </div>
    </form>
  );
}
