"use client";

import { MapPin, Plus } from "lucide-react";
import Link from "next/link";
import type { SiteListItem } from "../../../server/sites/list-sites.ts";
import { useLive } from "../../_live/use-live.ts";
import { Ago } from "../../_ui/clock.tsx";
import { Empty } from "../../_ui/page.tsx";
import { Status } from "../../_ui/status.tsx";
import { counted } from "../../_ui/words.ts";

/** All sites with their gateway's state; rows from 768 px up, cards below. */
export function SitesList({ initial, mayEdit }: { initial: SiteListItem[]; mayEdit: boolean }) {
  const { data: sites = initial } = useLive<SiteListItem[]>({
    path: "/api/sites",
    initial,
    watch: ["site"],
    everyMilliseconds: 10_000,
  });
  if (sites.length === 0)
    return (
      <div className="panel">
        <Empty
          icon={MapPin}
          title="No sites yet"
          action={
            mayEdit ? (
              <Link href="/sites/new" className="btn btn-primary">
                <Plus aria-hidden className="size-4" /> New site
              </Link>
            ) : null
          }
        >
          A site is a place with networks and one gateway. Name it, copy one command, run it there.
        </Empty>
      </div>
    );
  return (
    <>
      <div className="panel hidden overflow-hidden md:block">
        <table className="table">
          <caption className="sr-only">Sites</caption>
          <thead>
            <tr>
              <th>Site</th>
              <th>Gateway</th>
              <th>Networks</th>
              <th>Address</th>
              <th>Version</th>
              <th className="num">Links</th>
              <th>Last heard</th>
            </tr>
          </thead>
          <tbody>
            {sites.map((site) => (
              <tr key={site.id} className="row-link">
                <td>
                  <Link href={`/sites/${site.id}`} className="name-link">
                    {site.name}
                  </Link>
                </td>
                <td>
                  <Status name={site.gateway.state} />
                </td>
                <td className="mono">{site.networks.join(", ")}</td>
                <td className="mono">{site.gateway.address ?? "—"}</td>
                <td>{site.gateway.version ?? "—"}</td>
                <td className="num">{site.linkCount}</td>
                <td>
                  <Ago at={site.gateway.lastHeardAt} absent="never" />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <ul className="space-y-3 md:hidden">
        {sites.map((site) => (
          <li key={site.id} className="panel p-4">
            <div className="flex items-center justify-between gap-3">
              <Link href={`/sites/${site.id}`} className="name-link">
                {site.name}
              </Link>
              <Status name={site.gateway.state} />
            </div>
            <p className="mono mt-2 text-text-2">{site.networks.join(", ")}</p>
            <p className="mt-1 text-[13px] text-text-2">
              {counted(site.linkCount, "link")} · heard <Ago at={site.gateway.lastHeardAt} absent="never" />
            </p>
          </li>
        ))}
      </ul>
    </>
  );
}
