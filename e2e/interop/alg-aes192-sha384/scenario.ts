import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("alg-aes192-sha384", "AES-192-CBC with HMAC-SHA-384", "aes192-sha384-x25519", "aes192-sha384-x25519");
