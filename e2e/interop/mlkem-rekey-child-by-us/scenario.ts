import { hybridRekey } from "../rekey.ts";

export const scenario = hybridRekey("mlkem-rekey-child-by-us", "child", "us");
