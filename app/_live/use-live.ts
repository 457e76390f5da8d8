"use client";

import { useQuery } from "@tanstack/react-query";

/** A failure of the JSON API, as `/api/…` words it. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly requestId: string | null;
  constructor(message: string, status: number, requestId: string | null) {
    super(message);
    this.status = status;
    this.requestId = requestId;
  }
}

/**
 * A view that stays current: starts from what the page rendered (`initial`), is read again from `path` whenever the stream says
 * that one of `watch` (`"link"`, `"link:<id>"`) changed, and every `everyMilliseconds` where the view has counters that move.
 */
export function useLive<T>(options: { path: string; initial?: T; watch: readonly string[]; everyMilliseconds?: number; enabled?: boolean }) {
  return useQuery<T, Error>({
    queryKey: [options.path],
    queryFn: ({ signal }) => readJson<T>(options.path, signal),
    ...(options.initial === undefined ? {} : { initialData: options.initial }),
    // A filter change keeps the old rows until the new ones are there.
    placeholderData: (previous) => previous,
    meta: { watch: options.watch },
    refetchInterval: options.everyMilliseconds ?? 30_000,
    enabled: options.enabled ?? true,
  });
}

/** GETs JSON of the console's own API; the server's types are the contract, so the answer is not parsed a second time. */
export async function readJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await fetch(path, { cache: "no-store", ...(signal ? { signal } : {}) });
  if (!response.ok) throw await apiError(response);
  const value: T = await response.json();
  return value;
}

async function apiError(response: Response): Promise<ApiError> {
  const requestId = response.headers.get("x-request-id");
  const body: unknown = await response.json().catch(() => null);
  const message =
    typeof body === "object" && body !== null && "error" in body && typeof body.error === "object" && body.error !== null && "message" in body.error
      ? String(body.error.message)
      : `The console answered ${response.status}.`;
  return new ApiError(message, response.status, requestId);
}
