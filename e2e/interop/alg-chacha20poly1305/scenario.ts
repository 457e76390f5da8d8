import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("alg-chacha20poly1305", "ChaCha20-Poly1305", "chacha20poly1305-prfsha256-x25519", "chacha20poly1305-x25519");
