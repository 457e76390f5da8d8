import { commandedRekey } from "../rekey.ts";

export const scenario = commandedRekey("rekey-child-by-peer-as-responder", "child", "peer", "peer");
