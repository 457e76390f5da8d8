import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("alg-aes128ctr-sha256", "AES-128-CTR with HMAC-SHA-256", "aes128ctr-sha256-x25519", "aes128ctr-sha256-x25519");
