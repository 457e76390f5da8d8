import { familyScenario } from "../address-families.ts";

export const scenario = familyScenario("ipv4-in-ipv6", 4, 6);
