import { hybridRekey } from "../rekey.ts";

export const scenario = hybridRekey("mlkem-rekey-ike-by-us", "ike", "us");
