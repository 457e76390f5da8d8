import { timedRekey } from "../rekey.ts";

export const scenario = timedRekey("rekey-child-timer-peer", "child", "peer");
