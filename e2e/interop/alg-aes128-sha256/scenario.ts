import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("alg-aes128-sha256", "AES-128-CBC with HMAC-SHA-256", "aes128-sha256-x25519", "aes128-sha256-x25519");
