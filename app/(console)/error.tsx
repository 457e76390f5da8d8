"use client";

import { RotateCw } from "lucide-react";
import { FailureNote } from "../_ui/page.tsx";

/** A page that could not be read: the digest is the id under which the server logged the cause. */
export default function PageError({ error, reset }: { error: Error & { digest?: string }; reset: () => void }) {
  return (
    <div className="max-w-xl space-y-4">
      <h1>This page could not be shown</h1>
      <FailureNote
        title="Reading it failed"
        message="The database may be restarting, or the console was updated under this page. Try again; if it stays, the server's log has the cause under this id."
        requestId={error.digest ?? null}
      />
      <button type="button" className="btn btn-primary" onClick={reset}>
        <RotateCw aria-hidden className="size-4" /> Try again
      </button>
    </div>
  );
}
