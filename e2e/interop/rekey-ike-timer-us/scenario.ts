import { timedRekey } from "../rekey.ts";

export const scenario = timedRekey("rekey-ike-timer-us", "ike", "us");
