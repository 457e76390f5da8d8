import { readLink } from "../../../../server/links/read-link.ts";
import { api } from "../../../_server/answer.ts";

export const GET = api<{ id: string }>(({ actor, params }) => readLink(actor, params.id));
