import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("alg-aes192ctr-sha512", "AES-192-CTR with HMAC-SHA-512", "aes192ctr-sha512-x25519", "aes192ctr-sha512-x25519");
