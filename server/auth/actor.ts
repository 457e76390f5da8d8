import type { Role } from "../../generated/prisma/enums.ts";
import { Forbidden } from "../errors.ts";

/** Who asks. Made from a session, never from input. */
export interface Actor {
  readonly userId: string;
  readonly name: string;
  readonly email: string;
  readonly role: Role;
  readonly twoFactorEnabled: boolean;
}

/** read: everything but secrets. operate: rekey, restart, rotate, probe. edit: sites, links, keys, schedules. manage: users. */
export type Permission = "read" | "operate" | "edit" | "manage";

const permissions: Readonly<Record<Role, readonly Permission[]>> = {
  viewer: ["read"],
  operator: ["read", "operate"],
  owner: ["read", "operate", "edit", "manage"],
};

export function may(actor: { readonly role: Role }, permission: Permission): boolean {
  return permissions[actor.role].includes(permission);
}

/** The first line of every domain function. Throws Forbidden. */
export function authorize(actor: Actor, permission: Permission): void {
  if (!may(actor, permission)) throw new Forbidden(`The role ${actor.role} does not allow this. An owner can change roles under Settings, Users.`);
}
