import { z } from "zod";
import { desiredState } from "../../contract/desired-state.ts";

/** The JSON Schema of `site.yaml`, for editors: what an author may write, with defaults left out. */
export function configJsonSchema(): Record<string, unknown> {
  return { title: "Culvert gateway", ...z.toJSONSchema(desiredState, { io: "input" }) };
}
