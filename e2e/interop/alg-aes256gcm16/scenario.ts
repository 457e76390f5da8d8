import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("alg-aes256gcm16", "AES-256-GCM", "aes256gcm16-prfsha384-x25519", "aes256gcm16-x25519");
