import { Plus } from "lucide-react";
import type { Metadata } from "next";
import Link from "next/link";
import { listLinks } from "../../../server/links/list-links.ts";
import { mayEdit, pageActor } from "../../_server/actor.ts";
import { searchParamsOf } from "../../_server/search-params.ts";
import { PageHead } from "../../_ui/page.tsx";
import { LinksList } from "./links-list.tsx";

export const metadata: Metadata = { title: "Links" };

export default async function LinksPage({ searchParams }: { searchParams: Promise<Record<string, string | string[] | undefined>> }) {
  const actor = await pageActor();
  const search = searchParamsOf(await searchParams);
  return (
    <>
      <PageHead
        title="Links"
        actions={
          mayEdit(actor) ? (
            <Link href="/links/new" className="btn btn-primary">
              <Plus aria-hidden className="size-4" /> New link
            </Link>
          ) : null
        }
      />
      <LinksList initial={await listLinks(actor, Object.fromEntries(search))} initialQuery={search.toString()} mayEdit={mayEdit(actor)} />
    </>
  );
}
