"use client";

import { ArrowDown, ArrowUp, ChevronLeft, ChevronRight, Search } from "lucide-react";
import { usePathname, useSearchParams } from "next/navigation";
import { type ReactNode, useEffect, useId, useRef, useState } from "react";
import { counted } from "./words.ts";

/** The state of a list lives in the URL: this reads it and writes it without adding a history entry per letter typed. */
export function useListState() {
  const params = useSearchParams();
  const path = usePathname();
  function set(changes: Record<string, string | null>) {
    const next = new URLSearchParams(window.location.search);
    if (!("page" in changes)) next.delete("page");
    for (const [key, value] of Object.entries(changes)) {
      if (value === null || value === "") next.delete(key);
      else next.set(key, value);
    }
    window.history.replaceState(null, "", next.size > 0 ? `${path}?${next}` : path);
  }
  return { params, query: params.toString(), set };
}

/** A search box that writes `?search=` a moment after the last key. */
export function SearchBox({ label, name = "search" }: { label: string; name?: string }) {
  const { params, set } = useListState();
  const [text, setText] = useState(params.get(name) ?? "");
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <div className="relative min-w-48 flex-1 sm:max-w-72">
      <Search aria-hidden className="pointer-events-none absolute top-1/2 left-2.5 size-4 -translate-y-1/2 text-text-3" />
      <input
        type="search"
        className="input pl-8"
        aria-label={label}
        placeholder={label}
        value={text}
        onChange={(event) => {
          const value = event.target.value;
          setText(value);
          clearTimeout(timer.current);
          timer.current = setTimeout(() => set({ [name]: value.trim() }), 250);
        }}
      />
    </div>
  );
}

/** A day that writes `?name=2026-11-23`. Days are UTC's, as the server counts them. */
export function DayFilter({ name, label }: { name: string; label: string }) {
  const { params, set } = useListState();
  return (
    <label className="min-w-0 text-[13px] text-text-2">
      {label}
      <input
        type="date"
        className="input mt-1 block w-full sm:w-auto"
        value={params.get(name) ?? ""}
        onChange={(event) => set({ [name]: event.target.value })}
      />
    </label>
  );
}

/** A choice of one that writes `?name=value`; the first option is for no filter. */
export function SelectFilter({ name, label, any, groups }: { name: string; label: string; any: string; groups: readonly FilterGroup[] }) {
  const { params, set } = useListState();
  const id = useId();
  const chosen = params.get(name) ?? "";
  const isListed = chosen === "" || groups.some((group) => group.choices.some((choice) => choice.value === chosen));
  return (
    <div className="min-w-0 text-[13px] text-text-2">
      <label htmlFor={id}>{label}</label>
      <select id={id} className="input mt-1 block w-full sm:w-44" value={chosen} onChange={(event) => set({ [name]: event.target.value })}>
        <option value="">{any}</option>
        {isListed ? null : <option value={chosen}>something deleted</option>}
        {groups.map((group) => (
          <optgroup key={group.label} label={group.label}>
            {group.choices.map((choice) => (
              <option key={choice.value} value={choice.value}>
                {choice.label}
              </option>
            ))}
          </optgroup>
        ))}
      </select>
    </div>
  );
}

export interface FilterGroup {
  readonly label: string;
  readonly choices: readonly { readonly value: string; readonly label: string }[];
}

/** Filter chips for one parameter with several values (`?state=down,degraded`). */
export function FilterChips({ name, label, choices }: { name: string; label: string; choices: readonly { value: string; label: string; count?: number }[] }) {
  const { params, set } = useListState();
  const chosen = new Set((params.get(name) ?? "").split(",").filter(Boolean));
  function toggle(value: string) {
    const next = chosen.has(value) ? [...chosen].filter((other) => other !== value) : [...chosen, value];
    set({ [name]: next.join(",") });
  }
  return (
    <div role="group" aria-label={label} className="flex flex-wrap gap-2">
      {choices.map((choice) => (
        <button key={choice.value} type="button" className="chip" aria-pressed={chosen.has(choice.value)} onClick={() => toggle(choice.value)}>
          {choice.label}
          {choice.count === undefined ? null : <span className="text-text-3">{choice.count}</span>}
        </button>
      ))}
    </div>
  );
}

/** A column head that sorts: a button inside the header cell, with `aria-sort` on the cell. */
export function SortHead({
  column,
  children,
  numeric,
  initial,
}: {
  column: string;
  children: ReactNode;
  numeric?: boolean;
  initial?: "ascending" | "descending";
}) {
  const { params, set } = useListState();
  const sorted = params.get("sort") === column || (params.get("sort") === null && initial !== undefined);
  const direction = sorted
    ? params.get("direction") === "descending"
      ? "descending"
      : params.get("direction") === "ascending"
        ? "ascending"
        : (initial ?? "ascending")
    : "none";
  const Arrow = direction === "descending" ? ArrowDown : ArrowUp;
  return (
    <th aria-sort={direction} className={numeric ? "num" : ""}>
      <button
        type="button"
        className="inline-flex items-center gap-1 rounded"
        onClick={() => set({ sort: column, direction: direction === "ascending" ? "descending" : "ascending" })}
      >
        {children}
        <Arrow aria-hidden className={`size-3.5 ${sorted ? "" : "opacity-0"}`} />
      </button>
    </th>
  );
}

export function Pager({ page, pageSize, total, noun }: { page: number; pageSize: number; total: number; noun: string }) {
  const { set } = useListState();
  const pages = Math.max(1, Math.ceil(total / pageSize));
  return (
    <nav aria-label="Pages" className="flex items-center justify-between gap-3 border-t border-line px-4 py-2 text-[13px] text-text-2">
      <span aria-live="polite">{counted(total, noun)}</span>
      {pages > 1 ? (
        <span className="flex items-center gap-2">
          <button type="button" className="btn btn-icon" aria-label="Previous page" disabled={page <= 1} onClick={() => set({ page: String(page - 1) })}>
            <ChevronLeft aria-hidden className="size-4" />
          </button>
          Page {page} of {pages}
          <button type="button" className="btn btn-icon" aria-label="Next page" disabled={page >= pages} onClick={() => set({ page: String(page + 1) })}>
            <ChevronRight aria-hidden className="size-4" />
          </button>
        </span>
      ) : null}
    </nav>
  );
}
