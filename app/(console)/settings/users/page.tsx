import type { Metadata } from "next";
import { listUsers } from "../../../../server/auth/users.ts";
import { mayManageUsers, pageActor } from "../../../_server/actor.ts";
import { UsersPanel } from "./users-panel.tsx";

export const metadata: Metadata = { title: "Users" };

export default async function UsersPage() {
  const actor = await pageActor();
  return <UsersPanel initial={await listUsers(actor)} ownId={actor.userId} mayEdit={mayManageUsers(actor)} />;
}
