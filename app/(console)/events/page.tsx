import type { Metadata } from "next";
import { eventKinds, listEventActors, listEvents } from "../../../server/audit/list-events.ts";
import { listLinkNames } from "../../../server/links/list-links.ts";
import { listSites } from "../../../server/sites/list-sites.ts";
import { pageActor } from "../../_server/actor.ts";
import { searchParamsOf } from "../../_server/search-params.ts";
import { PageHead } from "../../_ui/page.tsx";
import { EventsList } from "./events-list.tsx";

export const metadata: Metadata = { title: "Events" };

export default async function EventsPage({ searchParams }: { searchParams: Promise<Record<string, string | string[] | undefined>> }) {
  const actor = await pageActor();
  const search = searchParamsOf(await searchParams);
  const query = Object.fromEntries(search);
  const [events, actors, links, sites] = await Promise.all([listEvents(actor, query), listEventActors(actor), listLinkNames(actor), listSites(actor)]);
  return (
    <>
      <PageHead title="Events" lead="Who did what, and what the gateways reported. Open an entry for what was before and after." />
      <EventsList
        initial={events}
        initialQuery={search.toString()}
        kinds={eventKinds.map((kind) => ({ value: kind, label: `${kind.charAt(0).toUpperCase()}${kind.slice(1)}` }))}
        actors={[{ label: "Who", choices: actors.map((name) => ({ value: name, label: name })) }]}
        subjects={[
          { label: "Links", choices: choicesOf(links) },
          { label: "Sites", choices: choicesOf(sites) },
        ]}
      />
    </>
  );
}

function choicesOf(rows: readonly { id: string; name: string }[]) {
  return rows.map(({ id, name }) => ({ value: id, label: name }));
}
