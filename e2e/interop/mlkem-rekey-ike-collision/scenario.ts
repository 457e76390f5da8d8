import { collidingRekey } from "../rekey.ts";

export const scenario = collidingRekey("mlkem-rekey-ike-collision", "ike", true);
