import { z } from "zod";
import type { Role } from "../../generated/prisma/enums.ts";
import { recordEvent } from "../audit/record-event.ts";
import { announce } from "../db/changes.ts";
import { database, type Transaction } from "../db/client.ts";
import { Conflict, NotFound } from "../errors.ts";
import { parseInput } from "../parse-input.ts";
import { type Actor, authorize } from "./actor.ts";
import { createUser, newUser } from "./create-user.ts";
import { lockUsers } from "./lock-users.ts";

export interface UserView {
  readonly id: string;
  readonly name: string;
  readonly email: string;
  readonly role: Role;
  readonly disabled: boolean;
  readonly twoFactorEnabled: boolean;
  readonly createdAt: string;
}

export async function listUsers(actor: Actor): Promise<UserView[]> {
  authorize(actor, "read");
  const users = await database().user.findMany({ orderBy: { name: "asc" } });
  return users.map((user) => ({
    id: user.id,
    name: user.name,
    email: user.email,
    role: user.role,
    disabled: user.disabled,
    twoFactorEnabled: user.twoFactorEnabled,
    createdAt: user.createdAt.toISOString(),
  }));
}

export async function addUser(actor: Actor, input: unknown): Promise<void> {
  authorize(actor, "manage");
  const user = parseInput(newUser, input);
  await database().$transaction(async (tx) => {
    const id = await createUser(tx, user);
    await recordEvent(tx, {
      resource: "user",
      resourceId: id,
      resourceName: user.name,
      verb: "created",
      actorId: actor.userId,
      actorName: actor.name,
      summary: `${user.name} was added as ${user.role}`,
      after: { name: user.name, email: user.email, role: user.role },
    });
    await announce(tx, { resource: "user", id });
  });
}

const roleChange = z.object({ role: z.enum(["owner", "operator", "viewer"]) });

export async function setUserRole(actor: Actor, userId: string, role: unknown): Promise<void> {
  authorize(actor, "manage");
  const change = parseInput(roleChange, { role });
  await changeUser(actor, userId, change, (name) => `${name} is now ${change.role}`);
}

/** Disabling ends every session of the user at once. */
export async function setUserDisabled(actor: Actor, userId: string, disabled: boolean): Promise<void> {
  authorize(actor, "manage");
  await changeUser(actor, userId, { disabled }, (name) => `${name} was ${disabled ? "disabled" : "enabled"}`);
}

async function changeUser(actor: Actor, userId: string, change: { role?: Role; disabled?: boolean }, summary: (name: string) => string): Promise<void> {
  if (userId === actor.userId) throw new Conflict("You cannot change your own role or disable yourself: another owner can.");
  await database().$transaction(async (tx) => {
    await lockUsers(tx);
    const user = await tx.user.findUnique({ where: { id: userId } });
    if (user === null) throw new NotFound("There is no such user.");
    const staysOwner = (change.role ?? user.role) === "owner" && !(change.disabled ?? user.disabled);
    if (user.role === "owner" && !user.disabled && !staysOwner) await checkOtherOwner(tx, userId);
    await tx.user.update({ where: { id: userId }, data: change });
    if (change.disabled === true) await tx.session.deleteMany({ where: { userId } });
    await recordEvent(tx, {
      resource: "user",
      resourceId: userId,
      resourceName: user.name,
      verb: "changed",
      actorId: actor.userId,
      actorName: actor.name,
      summary: summary(user.name),
      before: { role: user.role, disabled: user.disabled },
      after: { role: change.role ?? user.role, disabled: change.disabled ?? user.disabled },
    });
    await announce(tx, { resource: "user", id: userId });
  });
}

/** Two owners who disable each other at once would leave nobody who can let anybody in again. */
async function checkOtherOwner(tx: Transaction, userId: string): Promise<void> {
  const others = await tx.user.count({ where: { role: "owner", disabled: false, id: { not: userId } } });
  if (others === 0) throw new Conflict("This is the last owner who can sign in: make somebody else an owner first.");
}
