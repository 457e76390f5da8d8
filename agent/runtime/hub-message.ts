import { z } from "zod";
import { type DesiredLink, type DesiredState, desiredState, link as desiredLink } from "../../contract/desired-state.ts";
import { type FromHub, fromHub, type LinkVerdict } from "../../contract/hub-protocol.ts";

/** A desired state of a newer console: what of it this agent understands, and a refusal for each link that it does not. */
export interface PartlyRead {
  readonly type: "partlyRead";
  /** A link that could not be read is as it runs now, or left out when it does not run. Null: nothing of the state could be read. */
  readonly state: DesiredState | null;
  readonly revision: number;
  readonly refused: readonly LinkVerdict[];
}

const outline = z.object({
  type: z.literal("desired"),
  state: z.looseObject({ revision: z.number().int().min(0), links: z.array(z.looseObject({ id: z.string() })) }),
});

/**
 * Reads a message of the hub; null: it is none. A console may be newer than this agent and ask for what the agent has no word for: such a link
 * is refused with the reason and the others are taken. `running`: a link as it runs now.
 */
export function readHubMessage(text: string, running: (linkId: string) => DesiredLink | null): FromHub | PartlyRead | null {
  const json = parseJson(text);
  const message = fromHub.safeParse(json);
  if (message.success) return message.data;
  const known = outline.safeParse(json);
  if (!known.success) return null;
  const { revision, links } = known.data.state;
  const refused: LinkVerdict[] = [];
  const read = links.flatMap((asked): DesiredLink[] => {
    const parsed = desiredLink.safeParse(asked);
    if (parsed.success) return [parsed.data];
    refused.push({ linkId: asked.id, outcome: "refused", reason: reasonOf(parsed.error) });
    const current = running(asked.id);
    return current === null ? [] : [current];
  });
  const state = desiredState.safeParse({ ...known.data.state, links: read });
  if (state.success) return { type: "partlyRead", state: state.data, revision, refused };
  const reason = reasonOf(state.error);
  return { type: "partlyRead", state: null, revision, refused: links.map(({ id }) => ({ linkId: id, outcome: "refused", reason })) };
}

/** Names the option and never its value: that may be a secret. */
function reasonOf(error: z.ZodError): string {
  const [issue] = error.issues;
  const at = issue?.path.join(".") ?? "";
  const what = issue?.code === "unrecognized_keys" ? [at, issue.keys.join(", ")].filter((part) => part !== "").join(".") : at;
  return `this gateway's agent does not understand "${what || "the link"}" of a newer console; update the agent, or leave that option as it was`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null; // Not JSON; the caller says so without quoting it.
  }
}
