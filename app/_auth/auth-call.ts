/** Calls better-auth's own endpoints under `/api/auth`: sign-in, TOTP, password. Their answers carry a `message` when refused. */
export type AuthAnswer = { readonly ok: true; readonly body: Record<string, unknown> } | { readonly ok: false; readonly message: string };

export async function authCall(path: string, body: Record<string, unknown>): Promise<AuthAnswer> {
  const response = await fetch(`/api/auth${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  }).catch(() => null);
  if (response === null) return { ok: false, message: "The console could not be reached. Check that it is running, then try again." };
  const answer: unknown = await response.json().catch(() => null);
  const fields: Record<string, unknown> = isRecord(answer) ? answer : {};
  if (response.ok) return { ok: true, body: fields };
  if (response.status === 429) return { ok: false, message: "Too many attempts. Wait a minute, then try again." };
  return { ok: false, message: typeof fields.message === "string" ? fields.message : `The console answered ${response.status}.` };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
