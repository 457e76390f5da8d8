import type { Actor } from "../../server/auth/actor.ts";
import { Invalid } from "../../server/errors.ts";
import type { ActionResult } from "../_ui/action-result.ts";
import { currentActor } from "./actor.ts";
import { refusalOf } from "./refusal.ts";
import { requestId } from "./request-id.ts";

/** Runs one server function for a server action and turns what it throws into words for the form. */
export async function act<T>(work: (actor: Actor) => Promise<T>): Promise<ActionResult<T>> {
  try {
    return { ok: true, value: await work(await currentActor()) };
  } catch (error) {
    return refusedResult(error);
  }
}

export async function refusedResult(error: unknown): Promise<ActionResult<never>> {
  const id = await requestId();
  const refusal = refusalOf(error, id);
  return { ok: false, message: refusal.message, fields: refusal.fields, requestId: refusal.status >= 500 ? id : null };
}

/**
 * A GET of the JSON API: authorises, reads, answers. Errors are `{ error: { message, fields, requestId } }` with the status
 * that fits; a cache never keeps an answer.
 */
export function api<P extends Record<string, string>>(read: (input: { actor: Actor; search: URLSearchParams; params: P }) => Promise<unknown>) {
  return async (request: Request, context: { params: Promise<P> }): Promise<Response> => {
    try {
      const actor = await currentActor();
      const body = await read({ actor, search: new URL(request.url).searchParams, params: await context.params });
      return Response.json(body, { headers: { "cache-control": "no-store" } });
    } catch (error) {
      return refusedResponse(error);
    }
  };
}

const mostBodyCharacters = 262_144;

/** A POST of the JSON API: as `api`, with the body that was sent. A body that is no JSON is refused like any other input. */
export function apiPost(work: (input: { actor: Actor; body: unknown }) => Promise<unknown>) {
  return async (request: Request): Promise<Response> => {
    try {
      const actor = await currentActor();
      return Response.json(await work({ actor, body: await jsonOf(request) }), { headers: { "cache-control": "no-store" } });
    } catch (error) {
      return refusedResponse(error);
    }
  };
}

async function jsonOf(request: Request): Promise<unknown> {
  const refuse = (message: string) => new Invalid({ body: message });
  if (!request.headers.get("content-type")?.startsWith("application/json")) throw refuse("Send JSON, with content-type: application/json.");
  if (Number(request.headers.get("content-length") ?? 0) > mostBodyCharacters) throw refuse("The body is larger than 256 kB.");
  const text = await request.text();
  if (text.length > mostBodyCharacters) throw refuse("The body is larger than 256 kB.");
  try {
    return JSON.parse(text);
  } catch {
    throw refuse("The body is not JSON.");
  }
}

export async function refusedResponse(error: unknown): Promise<Response> {
  const id = await requestId();
  const { status, message, fields } = refusalOf(error, id);
  return Response.json({ error: { message, fields, requestId: id } }, { status, headers: { "cache-control": "no-store" } });
}
