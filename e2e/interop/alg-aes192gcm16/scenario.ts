import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("alg-aes192gcm16", "AES-192-GCM", "aes192gcm16-prfsha384-x25519", "aes192gcm16-x25519");
