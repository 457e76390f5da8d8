import { collidingRekey } from "../rekey.ts";

export const scenario = collidingRekey("rekey-child-collision", "child");
