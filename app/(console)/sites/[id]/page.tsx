import type { Metadata } from "next";
import { readSite } from "../../../../server/sites/list-sites.ts";
import { mayEdit, orNotFound, pageActor } from "../../../_server/actor.ts";
import { SiteDetail } from "./site-detail.tsx";

export const metadata: Metadata = { title: "Site" };

export default async function SitePage({ params }: { params: Promise<{ id: string }> }) {
  const actor = await pageActor();
  const site = await orNotFound(readSite(actor, (await params).id));
  return <SiteDetail initial={site} mayEdit={mayEdit(actor)} />;
}
