import { readVersions } from "../../../../../server/links/read-link.ts";
import { api } from "../../../../_server/answer.ts";

export const GET = api<{ id: string }>(({ actor, params }) => readVersions(actor, params.id));
