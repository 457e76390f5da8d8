import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("kex-modp8192", "MODP-8192", "aes256gcm16-prfsha512-modp8192", "aes256gcm16-modp8192");
