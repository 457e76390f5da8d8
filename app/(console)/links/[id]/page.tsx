import type { Metadata } from "next";
import { readLink } from "../../../../server/links/read-link.ts";
import { mayEdit, mayOperate, orNotFound, pageActor } from "../../../_server/actor.ts";
import { LinkDetail } from "./link-detail.tsx";

export const metadata: Metadata = { title: "Link" };

export default async function LinkPage({ params }: { params: Promise<{ id: string }> }) {
  const actor = await pageActor();
  const link = await orNotFound(readLink(actor, (await params).id));
  return <LinkDetail initial={link} mayEdit={mayEdit(actor)} mayOperate={mayOperate(actor)} />;
}
