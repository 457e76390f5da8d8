import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("kex-modp4096", "MODP-4096", "aes256gcm16-prfsha384-modp4096", "aes256gcm16-modp4096");
