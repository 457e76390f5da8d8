import { Conflict, Forbidden, Invalid, NotFound, Refusal, TooMany, Unauthenticated } from "../../server/errors.ts";

export interface RefusalWords {
  readonly status: number;
  readonly message: string;
  readonly fields: Record<string, string>;
}

/** What an error of the domain is in HTTP and in words. A fault is logged under the request's id and told by that id alone. */
export function refusalOf(error: unknown, requestId: string): RefusalWords {
  if (error instanceof Invalid) return { status: 422, message: error.message, fields: error.fields };
  if (error instanceof Refusal) return { status: statusOf(error), message: error.message, fields: {} };
  console.error(`request ${requestId} failed:`, error);
  return {
    status: 500,
    message: "The console failed while doing this; the cause is in its log under the request id. Nothing was saved. Try again, and if it stays, look there.",
    fields: {},
  };
}

function statusOf(error: Refusal): number {
  if (error instanceof Unauthenticated) return 401;
  if (error instanceof Forbidden) return 403;
  if (error instanceof NotFound) return 404;
  if (error instanceof Conflict) return 409;
  if (error instanceof TooMany) return 429;
  return 400;
}
