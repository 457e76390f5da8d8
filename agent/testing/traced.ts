import type { TraceRecord, TraceSource } from "../ike/endpoint-types.ts";

/** A step that is in words already, as if the engine had just told it. */
export function sourceOf(record: TraceRecord, octets = 0): TraceSource {
  return { linkId: record.linkId, octets, read: () => record };
}
