import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("kex-x25519", "X25519", "aes256gcm16-prfsha256-x25519", "aes256gcm16-x25519");
