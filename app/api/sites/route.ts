import { listSites } from "../../../server/sites/list-sites.ts";
import { api } from "../../_server/answer.ts";

export const GET = api(({ actor }) => listSites(actor));
