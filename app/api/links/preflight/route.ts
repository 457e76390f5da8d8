import { preflightLink } from "../../../../server/links/preflight-link.ts";
import { apiPost } from "../../../_server/answer.ts";

/** What a link would come to if it were saved now. The body is the wizard's form as server/links/link-form.ts reads it; nothing is saved. */
export const POST = apiPost(({ actor, body }) => preflightLink(actor, body));
