import { collidingRekey } from "../rekey.ts";

export const scenario = collidingRekey("rekey-ike-collision", "ike");
