import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("alg-aes192ccm12", "AES-192-CCM with an ICV of 12 octets", "aes192ccm12-prfsha256-x25519", "aes192ccm12-x25519");
