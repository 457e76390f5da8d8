import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("kex-modp6144", "MODP-6144", "aes256gcm16-prfsha512-modp6144", "aes256gcm16-modp6144");
