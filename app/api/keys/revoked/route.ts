import { listRevoked } from "../../../../server/keys/list-revoked.ts";
import { api } from "../../../_server/answer.ts";

export const GET = api(({ actor }) => listRevoked(actor));
