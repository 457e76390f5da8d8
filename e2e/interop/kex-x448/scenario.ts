import { algorithmScenario } from "../algorithm.ts";

export const scenario = algorithmScenario("kex-x448", "Curve448", "aes256gcm16-prfsha512-x448", "aes256gcm16-x448");
