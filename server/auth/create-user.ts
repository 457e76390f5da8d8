import { randomUUID } from "node:crypto";
import { hashPassword } from "better-auth/crypto";
import { z } from "zod";
import type { Transaction } from "../db/client.ts";
import { Invalid } from "../errors.ts";
import { lockUsers } from "./lock-users.ts";

export const newUser = z.object({
  name: z.string().trim().min(1, "Give a name.").max(80, "At most 80 characters."),
  email: z.email("Not an e-mail address.").max(254).toLowerCase(),
  password: z.string().min(12, "Use at least 12 characters.").max(256, "At most 256 characters."),
  role: z.enum(["owner", "operator", "viewer"]),
});

/** Inserts a user with a password, as better-auth keeps them. Throws Invalid when the address is taken. Returns the id. */
export async function createUser(tx: Transaction, user: z.infer<typeof newUser>): Promise<string> {
  await lockUsers(tx);
  if ((await tx.user.count({ where: { email: user.email } })) > 0) throw new Invalid({ email: "There is a user with this address already." });
  const id = randomUUID();
  await tx.user.create({ data: { id, name: user.name, email: user.email, role: user.role } });
  await tx.account.create({
    data: { id: randomUUID(), accountId: id, providerId: "credential", userId: id, password: await hashPassword(user.password) },
  });
  return id;
}
