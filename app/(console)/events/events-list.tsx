"use client";

import { Activity, ChevronRight, Download } from "lucide-react";
import { useSearchParams } from "next/navigation";
import { useLive } from "../../_live/use-live.ts";
import type { EventPage, EventView } from "../../../server/audit/list-events.ts";
import { Ago } from "../../_ui/clock.tsx";
import { DiffView } from "../../_ui/diff-view.tsx";
import { DayFilter, FilterChips, type FilterGroup, Pager, SearchBox, SelectFilter } from "../../_ui/list-state.tsx";
import { Empty, FailureNote } from "../../_ui/page.tsx";

/** Operations and audit in one stream; each entry opens to what was before and after. */
export function EventsList({
  initial,
  initialQuery,
  kinds,
  actors,
  subjects,
}: {
  initial: EventPage;
  initialQuery: string;
  kinds: readonly { value: string; label: string }[];
  actors: readonly FilterGroup[];
  subjects: readonly FilterGroup[];
}) {
  const query = useSearchParams().toString();
  const list = useLive<EventPage>({
    path: `/api/events?${query}`,
    ...(query === initialQuery ? { initial } : {}),
    watch: ["event"],
    everyMilliseconds: 15_000,
  });
  const page = list.data ?? initial;
  return (
    <>
      <div className="mb-3 flex flex-wrap items-center gap-3">
        <SearchBox label="Search what, where and who" />
        <FilterChips name="kind" label="Kind" choices={kinds} />
      </div>
      <div className="mb-3 grid grid-cols-2 items-end gap-3 sm:flex sm:flex-wrap">
        <SelectFilter name="actor" label="By" any="anybody" groups={actors} />
        <SelectFilter name="about" label="About" any="everything" groups={subjects} />
        <DayFilter name="from" label="From (UTC)" />
        <DayFilter name="to" label="To (UTC)" />
        <span className="hidden flex-1 sm:block" />
        <a className="btn" href={`/api/events/export?format=csv&${query}`} download>
          <Download aria-hidden className="size-4" /> CSV
        </a>
        <a className="btn" href={`/api/events/export?format=json&${query}`} download>
          <Download aria-hidden className="size-4" /> JSON
        </a>
      </div>
      {list.error ? <FailureNote title="The events could not be read" message={list.error.message} /> : null}
      <div className="panel overflow-hidden">
        {page.rows.length === 0 ? (
          <Empty icon={Activity} title={query ? "No event matches" : "Nothing has happened yet"}>
            Every change and every operation is listed here with who did it.
          </Empty>
        ) : (
          <ol className="divide-y divide-line">
            {page.rows.map((event) => (
              <EventEntry key={event.id} event={event} />
            ))}
          </ol>
        )}
        <Pager page={page.page} pageSize={page.pageSize} total={page.total} noun="event" />
      </div>
    </>
  );
}

/** One event: a line, and the diff behind it where there is one. `compact` is for a narrow column. */
export function EventEntry({ event, compact = false }: { event: EventView; compact?: boolean }) {
  const opens = event.before !== null || event.after !== null;
  const line = (
    <>
      {opens ? (
        <ChevronRight aria-hidden className="opener-mark -mr-2 size-3.5 shrink-0 text-text-3" />
      ) : (
        <span aria-hidden className="-mr-2 size-3.5 shrink-0" />
      )}
      <span className={`text-text-3 ${compact ? "w-20 shrink-0" : "order-2 md:order-1 md:w-24"}`}>
        <Ago at={event.at} />
      </span>
      <span className={`min-w-0 break-words ${compact ? "flex-1" : "order-1 basis-[calc(100%-2.5rem)] md:order-2 md:flex-1 md:basis-0"}`}>{event.summary}</span>
      {compact ? null : (
        <>
          <span className="tag order-3">{event.kind}</span>
          <span className="order-4 text-text-2 md:w-40 md:truncate md:text-right">{event.actor}</span>
        </>
      )}
    </>
  );
  const row = `flex items-center gap-x-4 gap-y-1 px-4 py-2.5 text-[13px] ${compact ? "" : "flex-wrap"}`;
  if (!opens) return <li className={row}>{line}</li>;
  return (
    <li>
      <details className="opener">
        <summary className={`${row} hover:bg-raised`}>{line}</summary>
        <div className="border-t border-line bg-raised p-4">
          <DiffView before={event.before} after={event.after} />
        </div>
      </details>
    </li>
  );
}
