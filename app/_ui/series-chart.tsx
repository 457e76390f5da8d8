"use client";

import { useTheme } from "next-themes";
import { useEffect, useRef } from "react";
import uPlot from "uplot";

export interface ChartLine {
  readonly label: string;
  /** A CSS variable of the palette, e.g. `--rx`. */
  readonly colour: string;
  readonly dashed?: boolean;
  /** null: a gap. */
  readonly values: readonly (number | null)[];
}

/**
 * A live time series. `times` are milliseconds. Lines differ by dash as well as by colour; a table of the same numbers follows for
 * screen readers and is reached by keyboard.
 */
export function SeriesChart({
  title,
  times,
  lines,
  write,
  height = 180,
}: {
  title: string;
  times: readonly number[];
  lines: readonly ChartLine[];
  write: (value: number) => string;
  height?: number;
}) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const { resolvedTheme } = useTheme();
  const shape = lines.map((line) => `${line.label}|${line.colour}|${line.dashed}`).join();
  const latest = useRef({ times, lines, write });
  latest.current = { times, lines, write };

  // biome-ignore lint/correctness/useExhaustiveDependencies: the plot is rebuilt for another theme or another set of lines, and fed below.
  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const chart = new uPlot(
      plotOptions(latest.current.lines, element.clientWidth, height, (value) => latest.current.write(value)),
      plotData(latest.current.times, latest.current.lines),
      element,
    );
    plot.current = chart;
    const observer = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      chart.destroy();
      plot.current = null;
    };
  }, [resolvedTheme, shape, height]);

  useEffect(() => {
    plot.current?.setData(plotData(times, lines));
  }, [times, lines]);

  const last = times.length - 1;
  return (
    <figure className="min-w-0">
      <figcaption className="mb-2 flex flex-wrap items-center gap-x-4 gap-y-1 text-[13px]">
        <span className="font-medium">{title}</span>
        {lines.map((line) => (
          <span key={line.label} className="inline-flex items-center gap-1.5 text-text-2">
            <svg aria-hidden="true" width="18" height="4" className="shrink-0">
              <line x1="0" y1="2" x2="18" y2="2" stroke={`var(${line.colour})`} strokeWidth="2" strokeDasharray={line.dashed ? "4 3" : undefined} />
            </svg>
            {line.label}
            <span className="font-medium text-text">{writeValue(line.values[last], write)}</span>
          </span>
        ))}
      </figcaption>
      {times.length === 0 ? (
        <div className="grid place-items-center rounded-md bg-raised text-[13px] text-text-2" style={{ height }}>
          No measurements in this period yet.
        </div>
      ) : null}
      <div ref={host} aria-hidden="true" className={times.length === 0 ? "hidden" : ""} />
      <details className="mt-1 text-[12.5px] text-text-2">
        <summary className="w-fit rounded">Show {title.toLowerCase()} as a table</summary>
        <div className="mt-1 max-h-48 overflow-auto rounded-md border border-line" tabIndex={0} role="region" aria-label={`${title}, table`}>
          <table className="table">
            <thead>
              <tr>
                <th>Time</th>
                {lines.map((line) => (
                  <th key={line.label} className="num">
                    {line.label}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {tableRows(times).map((index) => (
                <tr key={times[index]}>
                  <td suppressHydrationWarning>{new Date(times[index] ?? 0).toLocaleTimeString("en-GB")}</td>
                  {lines.map((line) => (
                    <td key={line.label} className="num">
                      {writeValue(line.values[index], write)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}

function writeValue(value: number | null | undefined, write: (value: number) => string): string {
  return value === null || value === undefined ? "—" : write(value);
}

/** The newest 60 points, newest first. */
function tableRows(times: readonly number[]): number[] {
  return times
    .map((_, index) => index)
    .slice(-60)
    .reverse();
}

function plotData(times: readonly number[], lines: readonly ChartLine[]): uPlot.AlignedData {
  return [times.map((time) => time / 1_000), ...lines.map((line) => [...line.values])];
}

function plotOptions(lines: readonly ChartLine[], width: number, height: number, write: (value: number) => string): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour("--text-3"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
    font: "11px system-ui, sans-serif",
  };
  return {
    width,
    height,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    padding: [8, 8, 0, 0],
    scales: { x: { time: true }, y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.1 : 1] } },
    axes: [
      {
        ...axis,
        size: 26,
        space: 70,
        values: (_plot, splits) =>
          splits.map((seconds) =>
            new Date(seconds * 1_000).toLocaleTimeString(
              "en-GB",
              splits.length > 1 && (splits[1] ?? 0) - (splits[0] ?? 0) < 60 ? {} : { hour: "2-digit", minute: "2-digit" },
            ),
          ),
      },
      { ...axis, size: 76, space: 36, values: (_plot, splits) => splits.map(write) },
    ],
    series: [
      {},
      ...lines.map(
        (line): uPlot.Series => ({
          label: line.label,
          stroke: colour(line.colour),
          width: 1.6,
          spanGaps: false,
          points: { show: false },
          ...(line.dashed ? { dash: [5, 4] } : {}),
        }),
      ),
    ],
  };
}
