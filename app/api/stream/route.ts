import { subscribe } from "../../../server/db/changes.ts";
import { actorOf } from "../../../server/auth/session.ts";
import { refusedResponse } from "../../_server/answer.ts";

export const dynamic = "force-dynamic";

const heartbeatMilliseconds = 5_000;
/** How long a session that was ended elsewhere may still listen. */
const recheckEvery = 6;

/** Server-sent events: `changed {resource, id}` when something did, `heartbeat` every 5 s. They say what, never its content. */
export async function GET(request: Request): Promise<Response> {
  try {
    await actorOf(request.headers);
  } catch (error) {
    return refusedResponse(error);
  }
  const encoder = new TextEncoder();
  let end = (_closedByReader: boolean) => {};
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      let open = true;
      const send = (event: string, data: unknown) => {
        if (open) controller.enqueue(encoder.encode(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`));
      };
      const unsubscribe = await subscribe((change) => send("changed", { resource: change.resource, id: change.id }));
      let beats = 0;
      const heartbeat = setInterval(() => {
        beats += 1;
        send("heartbeat", { at: Date.now() });
        if (beats % recheckEvery === 0) actorOf(request.headers).catch(() => end(false));
      }, heartbeatMilliseconds);
      end = (closedByReader) => {
        if (!open) return;
        open = false;
        clearInterval(heartbeat);
        unsubscribe();
        if (!closedByReader) controller.close();
      };
      request.signal.addEventListener("abort", () => end(false));
      if (request.signal.aborted) end(false);
      send("heartbeat", { at: Date.now() });
    },
    cancel() {
      end(true);
    },
  });
  return new Response(body, {
    headers: { "content-type": "text/event-stream", "cache-control": "no-store, no-transform", "x-accel-buffering": "no" },
  });
}
