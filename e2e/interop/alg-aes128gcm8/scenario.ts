import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("alg-aes128gcm8", "AES-128-GCM with an ICV of 8 octets", "aes128gcm8-prfsha256-x25519", "aes128gcm8-x25519");
