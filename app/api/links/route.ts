import { listLinks } from "../../../server/links/list-links.ts";
import { api } from "../../_server/answer.ts";

export const GET = api(({ actor, search }) => listLinks(actor, Object.fromEntries(search)));
