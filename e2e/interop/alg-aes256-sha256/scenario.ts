import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("alg-aes256-sha256", "AES-256-CBC with HMAC-SHA-256", "aes256-sha256-x25519", "aes256-sha256-x25519");
