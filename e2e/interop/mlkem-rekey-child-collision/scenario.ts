import { collidingRekey } from "../rekey.ts";

export const scenario = collidingRekey("mlkem-rekey-child-collision", "child", true);
