import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("kex-modp3072", "MODP-3072", "aes256gcm16-prfsha384-modp3072", "aes256gcm16-modp3072");
