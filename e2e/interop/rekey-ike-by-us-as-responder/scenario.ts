import { commandedRekey } from "../rekey.ts";

export const scenario = commandedRekey("rekey-ike-by-us-as-responder", "ike", "us", "peer");
