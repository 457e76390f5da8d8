import type { TraceEntry } from "../../contract/observed-state.ts";
import type { TracedEntry } from "../../contract/trace-file.ts";
import type { TraceRecord } from "../ike/endpoint-types.ts";

const ENTRIES_PER_LINK = 500;
/** Of all links together: with thousands of links each one keeps less. */
const ENTRIES_IN_ALL = 40_000;
const FEWEST_PER_LINK = 4;
/** Messages whose octets are kept, of each link: some handshakes and rekeys. */
const OCTETS_PER_LINK = 64;
/** Where thousands of links share the memory, one message in so many entries keeps its octets. */
const ENTRIES_TO_OCTETS = 7;
const STRANGERS_IN_A_FILE = 20;

/** The latest steps of each link's negotiations, in memory. Entries of no link are kept under null. */
export class TraceLog {
  readonly #byLink = new Map<string | null, TracedEntry[]>();
  #sequence = 0;

  /** The entry as it is told to the console: without its octets. */
  add(record: TraceRecord): TraceEntry {
    const { wire, ...rest } = record;
    const entry: TraceEntry = { ...rest, at: Math.floor(record.at), sequence: this.#sequence++, detail: { ...record.detail } };
    const entries = this.#byLink.get(record.linkId) ?? [];
    entries.push(wire === undefined ? entry : { ...entry, wire: { ...wire } });
    const most = Math.min(ENTRIES_PER_LINK, Math.max(FEWEST_PER_LINK, Math.floor(ENTRIES_IN_ALL / Math.max(1, this.#byLink.size))));
    if (wire !== undefined) dropOldestOctets(entries, Math.min(OCTETS_PER_LINK, Math.ceil(most / ENTRIES_TO_OCTETS)));
    if (entries.length > most) entries.splice(0, entries.length - most);
    this.#byLink.set(record.linkId, entries);
    return entry;
  }

  /** The newest `limit` entries of a link, oldest first. */
  of(linkId: string | null, limit: number): TraceEntry[] {
    return (this.#byLink.get(linkId) ?? []).slice(-limit).map(({ wire: _wire, ...entry }) => entry);
  }

  /** The same for a file: with the octets, and with what was concluded lately about requests that no link could be told of. */
  forFile(linkId: string, limit: number): TracedEntry[] {
    const strangers = (this.#byLink.get(null) ?? []).filter((entry) => entry.direction === "local").slice(-STRANGERS_IN_A_FILE);
    return [...(this.#byLink.get(linkId) ?? []), ...strangers].toSorted((one, other) => one.sequence - other.sequence).slice(-limit);
  }

  forget(linkId: string): void {
    this.#byLink.delete(linkId);
  }
}

function dropOldestOctets(entries: TracedEntry[], most: number): void {
  let kept = 0;
  for (let index = entries.length - 1; index >= 0; index--) {
    const { wire, ...entry } = entries[index]!;
    if (wire === undefined || ++kept <= most) continue;
    entries[index] = entry;
  }
}
