import { Unauthenticated } from "../errors.ts";
import { database } from "../db/client.ts";
import type { Actor } from "./actor.ts";
import { auth } from "./auth.ts";

/** Who the request's session belongs to, with the role as it is now. Throws Unauthenticated without a session or when disabled. */
export async function actorOf(headers: Headers): Promise<Actor> {
  const session = await auth().api.getSession({ headers });
  if (session === null) throw new Unauthenticated();
  const user = await database().user.findUnique({ where: { id: session.user.id } });
  if (user === null || user.disabled) throw new Unauthenticated();
  return { userId: user.id, name: user.name, email: user.email, role: user.role, twoFactorEnabled: user.twoFactorEnabled };
}
