import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("kex-ecp384", "ECP-384", "aes256gcm16-prfsha384-ecp384", "aes256gcm16-ecp384");
