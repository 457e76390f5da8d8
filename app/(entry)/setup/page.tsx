import type { Metadata } from "next";
import { redirect } from "next/navigation";
import { needsSetup } from "../../../server/auth/setup.ts";
import { SetupForm } from "./setup-form.tsx";

export const metadata: Metadata = { title: "Set up" };
export const dynamic = "force-dynamic";

export default async function SetupPage() {
  if (!(await needsSetup())) redirect("/sign-in");
  return (
    <>
      <h1>Set up Culvert</h1>
      <p className="mt-1 mb-6 text-[13px] text-text-2">The first account is an owner. It can add others later.</p>
      <SetupForm />
    </>
  );
}
