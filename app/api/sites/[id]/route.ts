import { readSite } from "../../../../server/sites/list-sites.ts";
import { api } from "../../../_server/answer.ts";

export const GET = api<{ id: string }>(({ actor, params }) => readSite(actor, params.id));
