import { familyScenario } from "../address-families.ts";

export const scenario = familyScenario("ipv6-in-ipv4", 6, 4);
