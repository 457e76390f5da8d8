import { listUsers } from "../../../server/auth/users.ts";
import { api } from "../../_server/answer.ts";

export const GET = api(({ actor }) => listUsers(actor));
