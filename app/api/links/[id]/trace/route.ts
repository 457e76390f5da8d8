import { readTrace } from "../../../../../server/links/read-link.ts";
import { api } from "../../../../_server/answer.ts";

export const GET = api<{ id: string }>(({ actor, params, search }) => readTrace(actor, params.id, search.get("liveness") === "1"));
