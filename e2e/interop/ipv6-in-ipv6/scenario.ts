import { familyScenario } from "../address-families.ts";

export const scenario = familyScenario("ipv6-in-ipv6", 6, 6);
