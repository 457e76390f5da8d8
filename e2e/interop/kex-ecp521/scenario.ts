import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("kex-ecp521", "ECP-521", "aes256gcm16-prfsha512-ecp521", "aes256gcm16-ecp521");
