import { exportTrace } from "../../../../../../server/commands/export-trace.ts";
import { currentActor } from "../../../../../_server/actor.ts";
import { refusedResponse } from "../../../../../_server/answer.ts";

/** The trace of the gateway at `?site=` as one download, for `culvert-agent replay`. */
export async function GET(request: Request, context: { params: Promise<{ id: string }> }): Promise<Response> {
  try {
    const { id } = await context.params;
    const { file, fileName } = await exportTrace(await currentActor(), id, new URL(request.url).searchParams.get("site") ?? "");
    return new Response(`${JSON.stringify(file, null, 1)}\n`, {
      headers: {
        "content-type": "application/json",
        "content-disposition": `attachment; filename="${fileName}"`,
        "cache-control": "no-store",
      },
    });
  } catch (error) {
    return refusedResponse(error);
  }
}
