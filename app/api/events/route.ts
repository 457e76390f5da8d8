import { listEvents } from "../../../server/audit/list-events.ts";
import { api } from "../../_server/answer.ts";

export const GET = api(({ actor, search }) => listEvents(actor, Object.fromEntries(search)));
