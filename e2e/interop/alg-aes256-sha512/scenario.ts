import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("alg-aes256-sha512", "AES-256-CBC with HMAC-SHA-512", "aes256-sha512-x25519", "aes256-sha512-x25519");
