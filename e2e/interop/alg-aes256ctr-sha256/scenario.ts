import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("alg-aes256ctr-sha256", "AES-256-CTR with HMAC-SHA-256", "aes256ctr-sha256-x25519", "aes256ctr-sha256-x25519");
