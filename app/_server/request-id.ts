import { headers } from "next/headers";

/** The id `proxy.ts` gave this request: quoted by every error answer and found in the server's log. */
export async function requestId(): Promise<string> {
  return (await headers()).get("x-request-id") ?? "none";
}
