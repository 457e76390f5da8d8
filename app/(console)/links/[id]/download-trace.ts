import { z } from "zod";
import type { ActionResult } from "../../../_ui/action-result.ts";

const refused = z.object({ error: z.object({ message: z.string(), fields: z.record(z.string(), z.string()), requestId: z.string().nullable() }) });

/** Fetches the trace from the gateway of a site and hands it to the browser as a file. Resolves when it is there, or with the reason. */
export async function downloadTrace(linkId: string, siteId: string): Promise<ActionResult<void>> {
  const answer = await fetch(`/api/links/${linkId}/trace/export?site=${encodeURIComponent(siteId)}`, { cache: "no-store" });
  if (!answer.ok) {
    const parsed = refused.safeParse(await answer.json().catch(() => null));
    if (!parsed.success) throw new Error(`status ${answer.status}`);
    const { message, fields, requestId } = parsed.data.error;
    return { ok: false, message, fields, requestId: answer.status >= 500 ? requestId : null };
  }
  const name = /filename="([^"]+)"/.exec(answer.headers.get("content-disposition") ?? "")?.[1] ?? "culvert-trace.json";
  const url = URL.createObjectURL(await answer.blob());
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken the address when the click has been handled.
  setTimeout(() => URL.revokeObjectURL(url), 0);
  return { ok: true, value: undefined };
}
