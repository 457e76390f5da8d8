import type { Actor } from "../../server/auth/actor.ts";
import { createLink } from "../../server/links/save-link.ts";
import { presets } from "../../server/links/presets.ts";
import { createEnrolmentToken } from "../../server/sites/enrolment.ts";
import { createSite } from "../../server/sites/save-site.ts";

export interface Seeded {
  readonly leftToken: string;
  readonly rightToken: string;
  readonly linkId: string;
}

/** Who the demo's own entries in the event stream name. No such user exists, and nobody can sign in as it. */
const demo: Actor = { userId: "demo", name: "The demo", email: "demo@localhost", role: "owner", twoFactorEnabled: false };

/** Two sites, the link between them and a one-use token for each gateway, through the same functions that the pages call. */
export async function seedDemo(): Promise<Seeded> {
  const amsterdam = await createSite(demo, { name: "Amsterdam", networks: ["10.1.0.0/24"], address: "192.0.2.1" });
  const berlin = await createSite(demo, { name: "Berlin", networks: ["10.2.0.0/24"], address: "198.51.100.1" });
  const [preset] = presets;
  if (preset === undefined) throw new Error("there is no security preset");
  const link = await createLink(demo, {
    name: "Amsterdam – Berlin",
    siteAId: amsterdam.id,
    peer: { kind: "site", siteId: berlin.id },
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
  const left = await createEnrolmentToken(demo, amsterdam.id);
  const right = await createEnrolmentToken(demo, berlin.id);
  return { leftToken: left.token, rightToken: right.token, linkId: link.id };
}
