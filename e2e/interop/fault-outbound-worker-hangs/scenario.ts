import { workerHangs } from "../plane-fault.ts";

export const scenario = workerHangs("outbound", "loop");
