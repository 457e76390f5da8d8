import { listRotations } from "../../../server/rotation/schedules.ts";
import { api } from "../../_server/answer.ts";

export const GET = api(({ actor }) => listRotations(actor));
