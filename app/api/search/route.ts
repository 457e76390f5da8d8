import { listLinkNames } from "../../../server/links/list-links.ts";
import { listSites } from "../../../server/sites/list-sites.ts";
import { api } from "../../_server/answer.ts";

/** Names and ids for the command palette. */
export const GET = api(async ({ actor }) => {
  const [sites, links] = await Promise.all([listSites(actor), listLinkNames(actor)]);
  return { sites: sites.map(({ id, name }) => ({ id, name })), links };
});
