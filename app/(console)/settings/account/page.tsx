import type { Metadata } from "next";
import { pageActor } from "../../../_server/actor.ts";
import { PageHead } from "../../../_ui/page.tsx";
import { PasswordForm } from "./password-form.tsx";
import { TwoFactor } from "./two-factor.tsx";

export const metadata: Metadata = { title: "Account" };

export default async function AccountPage() {
  const actor = await pageActor();
  return (
    <>
      <PageHead title="Account" lead={`${actor.name}, ${actor.email}, ${actor.role}`} />
      <div className="grid items-start gap-4 lg:grid-cols-2">
        <TwoFactor enabled={actor.twoFactorEnabled} />
        <PasswordForm />
      </div>
    </>
  );
}
