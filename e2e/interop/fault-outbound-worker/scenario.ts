import { workerDies } from "../plane-fault.ts";

export const scenario = workerDies("outbound", true);
