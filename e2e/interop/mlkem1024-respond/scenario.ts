import { strongestHybrid } from "../mlkem-1024.ts";

export const scenario = strongestHybrid("mlkem1024-respond", "peer");
