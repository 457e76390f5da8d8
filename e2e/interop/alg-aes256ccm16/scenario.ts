import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("alg-aes256ccm16", "AES-256-CCM", "aes256ccm16-prfsha384-x25519", "aes256ccm16-x25519");
