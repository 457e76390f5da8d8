import { explainLink } from "../../../../../server/links/explain-link.ts";
import { api } from "../../../../_server/answer.ts";

export const GET = api<{ id: string }>(({ actor, params }) => explainLink(actor, params.id));
