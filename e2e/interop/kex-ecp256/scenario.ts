import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("kex-ecp256", "ECP-256", "aes256gcm16-prfsha256-ecp256", "aes256gcm16-ecp256");
