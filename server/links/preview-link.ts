import type { Authentication } from "../../contract/desired-state.ts";
import { type Actor, authorize } from "../auth/actor.ts";
import { database } from "../db/client.ts";
import { type DesiredLinkInput, desiredLink } from "../publishing/desired-link.ts";
import { type CheckedLink, checkLinkForm } from "./link-form.ts";

export interface LinkPreview {
  readonly siteName: string;
  readonly before: null;
  /** What the gateway would be told; where a secret will be stands a sentence. */
  readonly after: DesiredLinkInput;
}

/** Checks a form as saving would and answers what each of our gateways would get. Saves nothing. Throws Invalid as saving would. */
export async function previewLink(actor: Actor, input: unknown): Promise<LinkPreview[]> {
  authorize(actor, "edit");
  const checked = await checkLinkForm(database(), input);
  const ends: { end: "A" | "B"; siteName: string }[] = [{ end: "A", siteName: checked.siteA.name }];
  if (checked.siteB !== null) ends.push({ end: "B", siteName: checked.siteB.name });
  return ends.map(({ end, siteName }) => ({
    siteName,
    before: null,
    after: desiredLink({
      linkId: "assigned-when-saved",
      config: checked.config,
      end,
      addressA: checked.siteA.address,
      addressB: checked.siteB?.address ?? null,
      authentication: placeholder(checked),
    }),
  }));
}

function placeholder({ config, secret }: CheckedLink): Authentication {
  const id = "new";
  if (config.method === "psk")
    return {
      method: "psk",
      keys: [{ id, secret: secret === null ? "(256 random bits, made when saved)" : "(the key you typed)" }],
      use: id,
    };
  return {
    method: "certificate",
    certificates: [{ id, chain: "(issued when saved)", privateKey: "(made when saved)" }],
    use: id,
    trustedAuthorities: ["Culvert IPsec authority"],
  };
}
