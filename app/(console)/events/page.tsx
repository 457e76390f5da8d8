import type { Metadata } from "next";
import { eventKinds, listEvents } from "../../../server/audit/list-events.ts";
import { pageActor } from "../../_server/actor.ts";
import { searchParamsOf } from "../../_server/search-params.ts";
import { PageHead } from "../../_ui/page.tsx";
import { EventsList } from "./events-list.tsx";

export const metadata: Metadata = { title: "Events" };

export default async function EventsPage({ searchParams }: { searchParams: Promise<Record<string, string | string[] | undefined>> }) {
  const actor = await pageActor();
  const search = searchParamsOf(await searchParams);
  return (
    <>
      <PageHead title="Events" lead="Who did what, and what the gateways reported. Open an entry for what was before and after." />
      <EventsList
        initial={await listEvents(actor, Object.fromEntries(search))}
        initialQuery={search.toString()}
        kinds={eventKinds.map((kind) => ({ value: kind, label: `${kind.charAt(0).toUpperCase()}${kind.slice(1)}` }))}
      />
    </>
  );
}
