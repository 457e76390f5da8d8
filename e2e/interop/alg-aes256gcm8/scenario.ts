import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("alg-aes256gcm8", "AES-256-GCM with an ICV of 8 octets", "aes256gcm8-prfsha384-x25519", "aes256gcm8-x25519");
