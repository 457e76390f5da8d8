import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("alg-aes256-sha384", "AES-256-CBC with HMAC-SHA-384", "aes256-sha384-x25519", "aes256-sha384-x25519");
