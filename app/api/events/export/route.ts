import { type EventView, exportEvents } from "../../../../server/audit/list-events.ts";
import { currentActor } from "../../../_server/actor.ts";
import { refusedResponse } from "../../../_server/answer.ts";
import { csvLine } from "./csv.ts";

/** Every event that matches the filter as one download, `?format=csv` or JSON; read and sent a chunk at a time. */
export async function GET(request: Request): Promise<Response> {
  try {
    const actor = await currentActor();
    const search = new URL(request.url).searchParams;
    const chunks = exportEvents(actor, Object.fromEntries(search));
    const csv = search.get("format") === "csv";
    return new Response(streamOf(csv ? csvOf(chunks) : jsonOf(chunks)), {
      headers: {
        "content-type": csv ? "text/csv; charset=utf-8" : "application/json",
        "content-disposition": `attachment; filename="culvert-events.${csv ? "csv" : "json"}"`,
        "cache-control": "no-store",
      },
    });
  } catch (error) {
    return refusedResponse(error);
  }
}

async function* csvOf(chunks: AsyncIterable<EventView[]>): AsyncGenerator<string> {
  yield csvLine(["time", "actor", "kind", "summary", "before", "after"]);
  for await (const events of chunks) {
    yield events.map((event) => csvLine([event.at, event.actor, event.kind, event.summary, jsonCell(event.before), jsonCell(event.after)])).join("");
  }
}

async function* jsonOf(chunks: AsyncIterable<EventView[]>): AsyncGenerator<string> {
  let separator = "[\n";
  for await (const events of chunks) {
    for (const event of events) {
      yield `${separator}${JSON.stringify(event)}`;
      separator = ",\n";
    }
  }
  yield separator === "[\n" ? "[]\n" : "\n]\n";
}

/** Pulled by the reader, so that a slow download holds one chunk and no more. */
function streamOf(texts: AsyncGenerator<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await texts.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    async cancel() {
      await texts.return(undefined);
    },
  });
}

function jsonCell(value: unknown): string {
  return value === null ? "" : JSON.stringify(value);
}
