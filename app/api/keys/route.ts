import { listKeys } from "../../../server/keys/list-keys.ts";
import { api } from "../../_server/answer.ts";

export const GET = api(({ actor }) => listKeys(actor));
