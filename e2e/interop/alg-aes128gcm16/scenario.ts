import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("alg-aes128gcm16", "AES-128-GCM", "aes128gcm16-prfsha256-x25519", "aes128gcm16-x25519");
