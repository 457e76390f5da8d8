import { readOverview } from "../../../server/overview/read-overview.ts";
import { api } from "../../_server/answer.ts";

export const GET = api(({ actor }) => readOverview(actor));
