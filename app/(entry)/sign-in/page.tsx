import type { Metadata } from "next";
import { SignInForm } from "./sign-in-form.tsx";

export const metadata: Metadata = { title: "Sign in" };

export default async function SignInPage({ searchParams }: { searchParams: Promise<{ next?: string | string[] }> }) {
  const { next } = await searchParams;
  // Only a path of this console: never another origin ("//host" is one).
  const target = typeof next === "string" && /^\/(?![/\\])/.test(next) ? next : "/";
  return (
    <>
      <h1 className="mb-6">Sign in</h1>
      <SignInForm next={target} />
    </>
  );
}
