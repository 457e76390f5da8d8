import { workerHangs } from "../plane-fault.ts";

export const scenario = workerHangs("inbound", "wait");
