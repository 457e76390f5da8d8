import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("alg-aes256gcm12", "AES-256-GCM with an ICV of 12 octets", "aes256gcm12-prfsha384-x25519", "aes256gcm12-x25519");
