import { auth } from "../../../../server/auth/auth.ts";

/** better-auth's own endpoints: sign-in, sign-out, TOTP, password. */
async function handle(request: Request): Promise<Response> {
  return auth().handler(request);
}

export { handle as GET, handle as POST };
