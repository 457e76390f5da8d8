import { commandedRekey } from "../rekey.ts";

export const scenario = commandedRekey("rekey-ike-by-peer", "ike", "peer");
