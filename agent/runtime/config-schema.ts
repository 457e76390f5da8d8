import { z } from "zod";
import { siteFile } from "../../contract/site-file.ts";

/** The JSON Schema of `site.yaml`, for editors: what an author may write, with defaults left out. */
export function configJsonSchema(): Record<string, unknown> {
  return { title: "Culvert gateway", ...z.toJSONSchema(siteFile, { io: "input" }) };
}
