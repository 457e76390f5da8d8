import type { TraceEntry } from "../../contract/observed-state.ts";
import type { TracedEntry } from "../../contract/trace-file.ts";
import type { TraceRecord, TraceSource } from "../ike/endpoint-types.ts";

const ENTRIES_PER_LINK = 500;
/** Of all links together: with thousands of links each one keeps less. */
const ENTRIES_IN_ALL = 40_000;
const FEWEST_PER_LINK = 4;
/** Octets of messages, of all links together and for each: a link keeps some handshakes and rekeys. */
const OCTETS_IN_ALL = 16 << 20;
const OCTETS_PER_LINK = 64 << 10;
const FEWEST_OCTETS_PER_LINK = 4 << 10;
const STRANGERS_IN_A_FILE = 20;

/** A step with its place in the order of all. It is put into words when it is read, and every time anew. */
export interface LoggedStep {
  readonly sequence: number;
  readonly source: TraceSource;
}

interface LinkTrace {
  readonly steps: LoggedStep[];
  octets: number;
}

/** The latest steps of each link's negotiations, in memory. Steps of no link are kept under null. */
export class TraceLog {
  readonly #byLink = new Map<string | null, LinkTrace>();
  #sequence = 0;

  add(source: TraceSource): LoggedStep {
    const step: LoggedStep = { sequence: this.#sequence++, source };
    const trace = this.#byLink.get(source.linkId) ?? { steps: [], octets: 0 };
    this.#byLink.set(source.linkId, trace);
    trace.steps.push(step);
    trace.octets += source.octets;
    const links = this.#byLink.size;
    const mostSteps = share(ENTRIES_IN_ALL, links, FEWEST_PER_LINK, ENTRIES_PER_LINK);
    const mostOctets = share(OCTETS_IN_ALL, links, FEWEST_OCTETS_PER_LINK, OCTETS_PER_LINK);
    // The newest stays, however long it is: the engine takes messages up to a bound of its own.
    while (trace.steps.length > 1 && (trace.steps.length > mostSteps || trace.octets > mostOctets)) trace.octets -= trace.steps.shift()!.source.octets;
    return step;
  }

  /** The newest `limit` steps of a link, oldest first, without their octets. */
  of(linkId: string | null, limit: number): TraceEntry[] {
    return (this.#byLink.get(linkId)?.steps ?? []).slice(-limit).map(entryOf);
  }

  /** The same for a file: with the octets, and with what was concluded lately about requests that no link could be told of. */
  forFile(linkId: string, limit: number): TracedEntry[] {
    const strangers = (this.#byLink.get(null)?.steps ?? []).map(tracedEntryOf).filter((entry) => entry.direction === "local");
    const own = (this.#byLink.get(linkId)?.steps ?? []).map(tracedEntryOf);
    return [...own, ...strangers.slice(-STRANGERS_IN_A_FILE)].toSorted((one, other) => one.sequence - other.sequence).slice(-limit);
  }

  forget(linkId: string): void {
    this.#byLink.delete(linkId);
  }
}

/** As it is told to the console: without its octets. */
export function entryOf(step: LoggedStep): TraceEntry {
  const { wire: _octets, ...entry } = tracedEntryOf(step);
  return entry;
}

function tracedEntryOf({ sequence, source }: LoggedStep): TracedEntry {
  const record: TraceRecord = source.read();
  return { ...record, at: Math.floor(record.at), sequence, detail: { ...record.detail }, ...(record.wire === undefined ? {} : { wire: { ...record.wire } }) };
}

function share(inAll: number, links: number, fewest: number, most: number): number {
  return Math.min(most, Math.max(fewest, Math.floor(inAll / links)));
}
