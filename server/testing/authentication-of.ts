import type { Authentication } from "../../contract/desired-state.ts";
import { database } from "../db/client.ts";
import { acceptedCredentials, authenticationFrom } from "../publishing/authentication.ts";

/** What a gateway of ours at one end of a link would be told to authenticate with now. */
export async function authenticationOf(linkId: string, end: "A" | "B"): Promise<Authentication> {
  const { where, ...rest } = acceptedCredentials;
  const credentials = await database().credential.findMany({ where: { linkId, ...where }, ...rest });
  const authorities = await database().authority.findMany({ where: { purpose: "ipsec" } });
  return authenticationFrom(
    credentials,
    end,
    authorities.map((row) => row.certificatePem),
  );
}
