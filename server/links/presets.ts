import { defaultEspProposals, defaultIkeProposals } from "../../contract/proposals.ts";

/** A named choice of algorithms and lifetimes: what most people should pick from instead of the Advanced fields. */
export interface Preset {
  readonly id: string;
  readonly label: string;
  readonly description: string;
  readonly ikeProposals: readonly string[];
  readonly espProposals: readonly string[];
  readonly ikeRekeySeconds: number;
  readonly espRekeySeconds: number;
}

/** The first is the default. */
export const presets: readonly Preset[] = [
  {
    id: "modern",
    label: "Modern",
    description: "Post-quantum: AES-256-GCM with X25519 and ML-KEM-768. A peer without ML-KEM gets the best of what it has.",
    ikeProposals: defaultIkeProposals,
    espProposals: defaultEspProposals,
    ikeRekeySeconds: 14_400,
    espRekeySeconds: 3_600,
  },
  {
    id: "nist",
    label: "NIST curves",
    description: "AES-256-GCM with the P-384 curve, where only approved curves are allowed.",
    ikeProposals: ["aes256gcm16-prfsha384-ecp384"],
    espProposals: ["aes256gcm16-ecp384"],
    ikeRekeySeconds: 14_400,
    espRekeySeconds: 3_600,
  },
  {
    id: "chacha",
    label: "ChaCha20",
    description: "ChaCha20-Poly1305 with X25519, for gateways without AES in hardware.",
    ikeProposals: ["chacha20poly1305-prfsha256-x25519"],
    espProposals: ["chacha20poly1305-x25519"],
    ikeRekeySeconds: 14_400,
    espRekeySeconds: 3_600,
  },
  {
    id: "compatible",
    label: "Compatible",
    description: "Offers AES-GCM first, then AES-CBC with SHA-2 and MODP-2048, for older third-party peers.",
    ikeProposals: ["aes256gcm16-prfsha384-ecp384", "aes256-sha256-ecp256", "aes256-sha256-modp2048"],
    espProposals: ["aes256gcm16-ecp384", "aes256-sha256-ecp256", "aes256-sha256-modp2048"],
    ikeRekeySeconds: 14_400,
    espRekeySeconds: 3_600,
  },
];

/** The preset that these choices are, or "custom". */
export function presetOf(choices: Pick<Preset, "ikeProposals" | "espProposals" | "ikeRekeySeconds" | "espRekeySeconds">): string {
  const same = (one: readonly string[], other: readonly string[]) => one.length === other.length && one.every((item, index) => item === other[index]);
  const preset = presets.find(
    (each) =>
      same(each.ikeProposals, choices.ikeProposals) &&
      same(each.espProposals, choices.espProposals) &&
      each.ikeRekeySeconds === choices.ikeRekeySeconds &&
      each.espRekeySeconds === choices.espRekeySeconds,
  );
  return preset?.id ?? "custom";
}
