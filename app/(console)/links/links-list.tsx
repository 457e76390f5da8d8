"use client";

import { ArrowLeftRight, Cable, Plus } from "lucide-react";
import Link from "next/link";
import { useSearchParams } from "next/navigation";
import { useLive } from "../../_live/use-live.ts";
import type { LinkListPage, LinkRow } from "../../../server/links/list-links.ts";
import { Age, When } from "../../_ui/clock.tsx";
import { FilterChips, Pager, SearchBox, SortHead } from "../../_ui/list-state.tsx";
import { Empty, FailureNote } from "../../_ui/page.tsx";
import { Status } from "../../_ui/status.tsx";
import { bitRate } from "../../_ui/words.ts";

const states = [
  { value: "down", label: "Down" },
  { value: "degraded", label: "Degraded" },
  { value: "negotiating", label: "Negotiating" },
  { value: "unknown", label: "Unknown" },
  { value: "up", label: "Up" },
  { value: "idle", label: "Idle" },
  { value: "disabled", label: "Disabled" },
] as const;

/** The table of links. Search, filter, sort and page are done by the server; their state is the URL. */
export function LinksList({ initial, initialQuery, mayEdit }: { initial: LinkListPage; initialQuery: string; mayEdit: boolean }) {
  const query = useSearchParams().toString();
  const list = useLive<LinkListPage>({
    path: `/api/links?${query}`,
    ...(query === initialQuery ? { initial } : {}),
    watch: ["link", "site"],
    everyMilliseconds: 5_000,
  });
  const page = list.data ?? initial;
  const filtered = query !== "";
  if (page.total === 0 && !filtered)
    return (
      <div className="panel">
        <Empty
          icon={Cable}
          title="No links yet"
          action={
            mayEdit ? (
              <Link href="/links/new" className="btn btn-primary">
                <Plus aria-hidden className="size-4" /> New link
              </Link>
            ) : null
          }
        >
          A link joins the networks of two sites, or of a site and a third-party peer, through an IPsec tunnel.
        </Empty>
      </div>
    );
  return (
    <>
      <div className="mb-3 flex flex-wrap items-center gap-3">
        <SearchBox label="Search links" />
        <FilterChips name="state" label="Tunnel state" choices={states.map((state) => ({ ...state, count: page.counts[state.value] ?? 0 }))} />
      </div>
      {list.error ? <FailureNote title="The links could not be read" message={list.error.message} /> : null}
      <div className="panel overflow-hidden">
        {page.rows.length === 0 ? (
          <Empty icon={Cable} title="No link matches">
            Take a filter away or search for something else.
          </Empty>
        ) : (
          <>
            <LinkTable rows={page.rows} />
            <LinkCards rows={page.rows} />
          </>
        )}
        <Pager page={page.page} pageSize={page.pageSize} total={page.total} noun="link" />
      </div>
    </>
  );
}

function LinkTable({ rows }: { rows: readonly LinkRow[] }) {
  return (
    <div className="relative hidden overflow-x-auto md:block" tabIndex={0} role="region" aria-label="Links, table">
      <table className="table">
        <caption className="sr-only">Links</caption>
        <thead>
          <tr>
            <SortHead column="state" initial="ascending">
              Tunnel
            </SortHead>
            <SortHead column="name">Link</SortHead>
            <th>Ends</th>
            <SortHead column="rx" numeric>
              Received
            </SortHead>
            <SortHead column="tx" numeric>
              Sent
            </SortHead>
            <SortHead column="since" numeric>
              Since
            </SortHead>
            <th className="num">Next rekey</th>
            <th className="num">Key age</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.id} className="row-link">
              <td>
                <Status name={row.tunnel} />
              </td>
              <td>
                <Link href={`/links/${row.id}`} className="name-link">
                  {row.name}
                </Link>
              </td>
              <td>
                <Ends row={row} />
              </td>
              <td className="num">{rate(row.rxBitsPerSecond)}</td>
              <td className="num">{rate(row.txBitsPerSecond)}</td>
              <td className="num">
                <Age at={row.since} />
              </td>
              <td className="num">
                <When at={row.rekeyAt} />
              </td>
              <td className="num">
                <Age at={row.keyCreatedAt} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function LinkCards({ rows }: { rows: readonly LinkRow[] }) {
  return (
    <ul className="divide-y divide-line md:hidden">
      {rows.map((row) => (
        <li key={row.id} className="p-4">
          <div className="flex items-center justify-between gap-3">
            <Link href={`/links/${row.id}`} className="name-link">
              {row.name}
            </Link>
            <Status name={row.tunnel} />
          </div>
          <p className="mt-2 text-[13px] text-text-2">
            <Ends row={row} />
          </p>
          <p className="mt-1 text-[13px] text-text-2">
            ↓ {rate(row.rxBitsPerSecond)} · ↑ {rate(row.txBitsPerSecond)} · rekey <When at={row.rekeyAt} />
          </p>
        </li>
      ))}
    </ul>
  );
}

function Ends({ row }: { row: LinkRow }) {
  return (
    <span className="inline-flex items-center gap-1.5 text-text-2">
      {row.endA} <ArrowLeftRight role="img" aria-label="and" className="size-3.5 text-text-3" /> {row.endB}
    </span>
  );
}

function rate(value: number | null): string {
  return value === null ? "—" : bitRate(value);
}
