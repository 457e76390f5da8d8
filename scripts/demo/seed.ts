import type { Actor } from "../../server/auth/actor.ts";
import { createLink } from "../../server/links/save-link.ts";
import { presets } from "../../server/links/presets.ts";
import { createEnrolmentToken } from "../../server/sites/enrolment.ts";
import { createSite } from "../../server/sites/save-site.ts";

export interface SeededSites {
  readonly left: { readonly siteId: string; readonly token: string };
  readonly right: { readonly siteId: string; readonly token: string };
}

/** Who the demo's own entries in the event stream name. No such user exists, and nobody can sign in as it. */
const demo: Actor = { userId: "demo", name: "The demo", email: "demo@localhost", role: "owner", twoFactorEnabled: false };

/** Two sites and a one-use token for the gateway of each, through the same functions that the pages call. */
export async function seedSites(): Promise<SeededSites> {
  const left = await createSite(demo, { name: "Amsterdam", networks: ["10.1.0.0/24"], address: "192.0.2.1" });
  const right = await createSite(demo, { name: "Berlin", networks: ["10.2.0.0/24"], address: "198.51.100.1" });
  const tokenOf = async (siteId: string) => ({ siteId, token: (await createEnrolmentToken(demo, siteId)).token });
  return { left: await tokenOf(left.id), right: await tokenOf(right.id) };
}

/** The link between them. The hub pushes it to both gateways, which bring it up. */
export async function seedLink({ left, right }: SeededSites): Promise<void> {
  const [preset] = presets;
  if (preset === undefined) throw new Error("there is no security preset");
  await createLink(demo, {
    name: "Amsterdam – Berlin",
    siteAId: left.siteId,
    peer: { kind: "site", siteId: right.siteId },
    networksA: ["10.1.0.0/24"],
    networksB: ["10.2.0.0/24"],
    preset: preset.id,
    method: "psk",
    secret: null,
    ikeProposals: preset.ikeProposals,
    espProposals: preset.espProposals,
    ikeRekeySeconds: preset.ikeRekeySeconds,
    espRekeySeconds: preset.espRekeySeconds,
    livenessSeconds: 10,
  });
}
