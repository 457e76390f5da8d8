import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("alg-aes128gcm12", "AES-128-GCM with an ICV of 12 octets", "aes128gcm12-prfsha256-x25519", "aes128gcm12-x25519");
