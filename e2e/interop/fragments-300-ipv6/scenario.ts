import { smallFragments } from "../small-fragments.ts";

export const scenario = smallFragments("fragments-300-ipv6", 6);
