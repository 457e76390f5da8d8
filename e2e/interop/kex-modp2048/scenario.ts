import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("kex-modp2048", "MODP-2048", "aes256gcm16-prfsha256-modp2048", "aes256gcm16-modp2048");
