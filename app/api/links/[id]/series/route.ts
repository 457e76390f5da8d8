import { readSeries } from "../../../../../server/reports/read-series.ts";
import { api } from "../../../../_server/answer.ts";

export const GET = api<{ id: string }>(({ actor, params, search }) => readSeries(actor, params.id, search.get("range")));
