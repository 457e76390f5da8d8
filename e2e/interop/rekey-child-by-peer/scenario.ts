import { commandedRekey } from "../rekey.ts";

export const scenario = commandedRekey("rekey-child-by-peer", "child", "peer");
