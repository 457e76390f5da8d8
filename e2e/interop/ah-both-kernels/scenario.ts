import { match } from "node:assert/strict";
import { betweenKernels, inboundState } from "../both-kernels.ts";

const suite = "sha256-x25519";

export const scenario = betweenKernels(
  "ah-both-kernels",
  "AH in a tunnel",
  { us: { ah: { proposals: [suite] } }, peer: { ah_proposals: suite, esp_proposals: "" } },
  async (context, established) => match(await inboundState(context, established), /proto ah/),
);
