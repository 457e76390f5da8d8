import { commandedRekey } from "../rekey.ts";

export const scenario = commandedRekey("rekey-child-by-us-as-responder", "child", "us", "peer");
