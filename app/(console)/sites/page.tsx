import { Plus } from "lucide-react";
import type { Metadata } from "next";
import Link from "next/link";
import { listSites } from "../../../server/sites/list-sites.ts";
import { mayEdit, pageActor } from "../../_server/actor.ts";
import { PageHead } from "../../_ui/page.tsx";
import { SitesList } from "./sites-list.tsx";

export const metadata: Metadata = { title: "Sites" };

export default async function SitesPage() {
  const actor = await pageActor();
  return (
    <>
      <PageHead
        title="Sites"
        actions={
          mayEdit(actor) ? (
            <Link href="/sites/new" className="btn btn-primary">
              <Plus aria-hidden className="size-4" /> New site
            </Link>
          ) : null
        }
      />
      <SitesList initial={await listSites(actor)} mayEdit={mayEdit(actor)} />
    </>
  );
}
