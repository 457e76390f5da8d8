import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("alg-aes128ccm8", "AES-128-CCM with an ICV of 8 octets", "aes128gcm16-prfsha256-x25519", "aes128ccm8-x25519");
