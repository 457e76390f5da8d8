import { smallFragments } from "../small-fragments.ts";

export const scenario = smallFragments("fragments-300-ipv4", 4);
