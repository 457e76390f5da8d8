"use client";

import { Cable, ShieldCheck } from "lucide-react";
import Link from "next/link";
import { useMemo } from "react";
import { useLive } from "../_live/use-live.ts";
import type { OverviewView as OverviewData } from "../../server/overview/read-overview.ts";
import { Ago, When } from "../_ui/clock.tsx";
import { Empty, Panel } from "../_ui/page.tsx";
import { SeriesChart } from "../_ui/series-chart.tsx";
import { Status, type StatusName } from "../_ui/status.tsx";
import { bitRate } from "../_ui/words.ts";
import { EventEntry } from "./events/events-list.tsx";
import { FirstSteps } from "./first-steps.tsx";

const tiles = ["down", "degraded", "negotiating", "unknown", "up", "idle", "disabled"] as const satisfies readonly StatusName[];

/** What needs a person first, then how much flows, what expires, what changed. */
export function Overview({ initial, mayEdit }: { initial: OverviewData; mayEdit: boolean }) {
  const { data = initial } = useLive<OverviewData>({
    path: "/api/overview",
    initial,
    watch: ["link", "site", "event", "rotation", "key"],
    everyMilliseconds: 5_000,
  });
  const lines = useMemo(
    () => [
      { label: "Received", colour: "--rx", values: data.throughput.map((point) => point.rxBitsPerSecond) },
      { label: "Sent", colour: "--tx", dashed: true, values: data.throughput.map((point) => point.txBitsPerSecond) },
    ],
    [data.throughput],
  );
  const times = useMemo(() => data.throughput.map((point) => point.at), [data.throughput]);
  return (
    <div className="space-y-4">
      {mayEdit && Object.keys(data.links).length === 0 ? <FirstSteps sites={data.sites} /> : null}
      <ul className="panel grid grid-cols-3 overflow-hidden sm:grid-cols-7" aria-label="Links by tunnel state">
        {tiles.map((state) => (
          <li key={state} className="-mr-px -mb-px border-r border-b border-line">
            <Link href={`/links?state=${state}`} className="block p-3 hover:bg-raised">
              <span className={`mb-1 block text-2xl font-semibold ${data.links[state] ? "" : "text-text-3"}`}>{data.links[state] ?? 0}</span>
              <Status name={state} />
            </Link>
          </li>
        ))}
      </ul>
      <div className="grid items-start gap-4 lg:grid-cols-2">
        <div className="grid min-w-0 gap-4">
          <Panel title="Needs attention" flush>
            {data.attention.length === 0 ? (
              <Empty icon={ShieldCheck} title="Nothing needs attention" />
            ) : (
              <ul className="divide-y divide-line">
                {data.attention.map((item) => (
                  <li key={item.href} className="flex items-start gap-3 px-4 py-2.5 text-[13px]">
                    <Status name={item.state} />
                    <div className="min-w-0 flex-1">
                      <Link href={item.href} className="name-link">
                        {item.name}
                      </Link>
                      <p className="text-text-2">{item.sentence}</p>
                    </div>
                    <span className="whitespace-nowrap text-text-3">
                      <Ago at={item.since} />
                    </span>
                  </li>
                ))}
              </ul>
            )}
          </Panel>
          <Panel title="Expires next" flush>
            {data.expiring.length === 0 ? (
              <Empty icon={ShieldCheck} title="Nothing expires within 90 days" />
            ) : (
              <ul className="divide-y divide-line">
                {data.expiring.map((item) => (
                  <li key={item.id} className="flex items-center justify-between gap-3 px-4 py-2.5 text-[13px]">
                    <Link href="/keys" className="name-link min-w-0 truncate">
                      {item.name}
                    </Link>
                    <span className="text-text-2">
                      <When at={item.expiresAt} />
                    </span>
                  </li>
                ))}
              </ul>
            )}
          </Panel>
        </div>
        <div className="grid min-w-0 gap-4">
          <Panel title="Throughput, all links">
            <SeriesChart title="Last 15 minutes" times={times} lines={lines} write={bitRate} height={150} />
          </Panel>
          <Panel
            title="Recent changes"
            flush
            actions={
              <Link href="/events" className="link text-[13px]">
                All events
              </Link>
            }
          >
            {data.recent.length === 0 ? (
              <Empty icon={Cable} title="Nothing has changed yet" />
            ) : (
              <ol className="divide-y divide-line">
                {data.recent.map((event) => (
                  <EventEntry key={event.id} event={event} compact />
                ))}
              </ol>
            )}
          </Panel>
        </div>
      </div>
    </div>
  );
}
