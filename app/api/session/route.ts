import { api } from "../../_server/answer.ts";

/** Who is signed in; 401 when nobody is, which is how the page tells an expired session from a broken stream. */
export const GET = api(async ({ actor }) => ({ name: actor.name, email: actor.email, role: actor.role }));
