import type { Authentication } from "../../contract/desired-state.ts";
import { type Actor, authorize } from "../auth/actor.ts";
import { database } from "../db/client.ts";
import { type DesiredLinkInput, desiredLink } from "../publishing/desired-link.ts";
import type { LinkConfig } from "./link-config.ts";
import { type CheckedLink, checkLinkEdit, checkLinkForm } from "./link-form.ts";

export interface LinkPreview {
  readonly siteName: string;
  /** What it is told now; null for a new link. */
  readonly before: DesiredLinkInput | null;
  /** What the gateway would be told; where a secret will be stands a sentence. */
  readonly after: DesiredLinkInput;
}

/** Checks a form as saving would and answers what each of our gateways would get. Saves nothing. Throws Invalid as saving would. */
export async function previewLink(actor: Actor, input: unknown): Promise<LinkPreview[]> {
  authorize(actor, "edit");
  return previewsOf(await checkLinkForm(database(), input), null);
}

/** As `previewLink` for a link that is there: what each gateway is told now, and what it would be told. Throws as `editLink` would. */
export async function previewEdit(actor: Actor, linkId: string, input: unknown): Promise<LinkPreview[]> {
  authorize(actor, "edit");
  const checked = await checkLinkEdit(database(), linkId, input);
  return previewsOf(checked, checked.before);
}

function previewsOf(checked: CheckedLink, before: LinkConfig | null): LinkPreview[] {
  const { siteA, siteB } = checked;
  const ends: { end: "A" | "B"; siteName: string }[] = [{ end: "A", siteName: siteA.name }];
  if (siteB !== null) ends.push({ end: "B", siteName: siteB.name });
  // The keys stay out of a comparison of the same link: they are not changed by its form.
  const authentication = before === null ? placeholder(checked) : kept(checked.config.method);
  const told = (config: LinkConfig, end: "A" | "B") =>
    desiredLink({ linkId: "assigned-when-saved", config, end, addressA: siteA.address, addressB: siteB?.address ?? null, authentication });
  return ends.map(({ end, siteName }) => ({ siteName, before: before === null ? null : told(before, end), after: told(checked.config, end) }));
}

function kept(method: LinkConfig["method"]): Authentication {
  const [use, same] = ["kept", "(stays as it is)"];
  if (method === "psk") return { method, keys: [{ id: use, secret: same }], use };
  return { method, certificates: [{ id: use, chain: same, privateKey: same }], use, trustedAuthorities: [same] };
}

function placeholder({ config, secret, imported }: CheckedLink): Authentication {
  const id = "new";
  if (imported !== null)
    return {
      method: "certificate",
      certificates: [{ id, chain: `(${imported.certificate.name}, imported)`, privateKey: "(imported with it)" }],
      use: id,
      trustedAuthorities: [imported.trustedPem],
    };
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
