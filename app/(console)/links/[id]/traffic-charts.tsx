"use client";

import { useMemo } from "react";
import { useLive } from "../../../_live/use-live.ts";
import { useListState } from "../../../_ui/list-state.tsx";
import { FailureNote, Panel } from "../../../_ui/page.tsx";
import { SeriesChart } from "../../../_ui/series-chart.tsx";
import { bitRate, milliseconds } from "../../../_ui/words.ts";

/** One end's measurements: `at` in milliseconds, rates in bits a second, a round trip in milliseconds or null where no probe was answered. */
export interface LinkSeries {
  readonly points: readonly {
    readonly at: number;
    readonly rxBitsPerSecond: number | null;
    readonly txBitsPerSecond: number | null;
    readonly roundTripMs: number | null;
  }[];
}

export const ranges = ["15m", "1h", "24h", "7d", "30d"] as const;

/** Throughput as the first end sees it, and the round trip through the tunnel. The period is in the URL. */
export function TrafficCharts({ linkId, sideName }: { linkId: string; sideName: string }) {
  const { params, set } = useListState();
  const range = ranges.find((known) => known === params.get("range")) ?? "15m";
  const series = useLive<LinkSeries>({
    path: `/api/links/${linkId}/series?range=${range}`,
    watch: [],
    everyMilliseconds: range === "15m" ? 2_000 : 15_000,
  });
  const points = series.data?.points;
  const data = useMemo(() => {
    const list = points ?? [];
    return {
      times: list.map((point) => point.at),
      throughput: [
        { label: "Received", colour: "--rx", values: list.map((point) => point.rxBitsPerSecond) },
        { label: "Sent", colour: "--tx", dashed: true, values: list.map((point) => point.txBitsPerSecond) },
      ],
      roundTrip: [{ label: "Round trip", colour: "--neg", values: list.map((point) => point.roundTripMs) }],
    };
  }, [points]);
  return (
    <Panel
      title={`Traffic, seen from ${sideName}`}
      actions={
        <div role="group" aria-label="Period" className="flex gap-1">
          {ranges.map((known) => (
            <button key={known} type="button" className="chip" aria-pressed={range === known} onClick={() => set({ range: known === "15m" ? null : known })}>
              {known}
            </button>
          ))}
        </div>
      }
    >
      {series.error ? (
        <FailureNote title="The measurements could not be read" message={series.error.message} />
      ) : series.data ? (
        <div className="grid gap-6 lg:grid-cols-2">
          <SeriesChart title="Throughput" times={data.times} lines={data.throughput} write={bitRate} />
          <SeriesChart title="Round trip" times={data.times} lines={data.roundTrip} write={milliseconds} />
        </div>
      ) : (
        <div aria-hidden className="skeleton h-48" />
      )}
    </Panel>
  );
}
