import { createLink } from "../links/save-link.ts";
import { presets } from "../links/presets.ts";
import { owner } from "./database.ts";

/** A form as the wizard sends it for a link between two sites of ours. */
export function linkFormOf(siteAId: string, siteBId: string, change: Record<string, unknown> = {}): Record<string, unknown> {
  const [preset] = presets;
  return {
    name: "Amsterdam – Berlin",
    siteAId,
    peer: { kind: "site", siteId: siteBId },
    networksA: ["10.1.0.0/24"],
    networksB: ["10.2.0.0/24"],
    preset: preset?.id,
    method: "psk",
    secret: null,
    ikeProposals: preset?.ikeProposals,
    espProposals: preset?.espProposals,
    ikeRekeySeconds: 14_400,
    espRekeySeconds: 3_600,
    livenessSeconds: 10,
    ...change,
  };
}

/** Creates it, as the owner; its id. */
export async function createTestLink(siteAId: string, siteBId: string, change: Record<string, unknown> = {}): Promise<string> {
  return (await createLink(owner, linkFormOf(siteAId, siteBId, change))).id;
}
