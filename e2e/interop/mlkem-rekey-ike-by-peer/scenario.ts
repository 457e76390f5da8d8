import { hybridRekey } from "../rekey.ts";

export const scenario = hybridRekey("mlkem-rekey-ike-by-peer", "ike", "peer");
