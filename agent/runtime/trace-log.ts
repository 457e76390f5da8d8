import type { TraceEntry } from "../../contract/observed-state.ts";
import type { TraceRecord } from "../ike/endpoint-types.ts";

const ENTRIES_PER_LINK = 500;

/** The latest steps of each link's negotiations, in memory. Entries of no link are kept under null. */
export class TraceLog {
  readonly #byLink = new Map<string | null, TraceEntry[]>();
  #sequence = 0;

  add(record: TraceRecord): TraceEntry {
    const entry: TraceEntry = { ...record, at: Math.floor(record.at), sequence: this.#sequence++, detail: { ...record.detail } };
    const entries = this.#byLink.get(record.linkId) ?? [];
    entries.push(entry);
    if (entries.length > ENTRIES_PER_LINK) entries.splice(0, entries.length - ENTRIES_PER_LINK);
    this.#byLink.set(record.linkId, entries);
    return entry;
  }

  /** The newest `limit` entries of a link, oldest first. */
  of(linkId: string | null, limit: number): TraceEntry[] {
    return (this.#byLink.get(linkId) ?? []).slice(-limit);
  }

  forget(linkId: string): void {
    this.#byLink.delete(linkId);
  }
}
