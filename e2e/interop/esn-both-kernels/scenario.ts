import { equal, match } from "node:assert/strict";
import { betweenKernels, inboundState } from "../both-kernels.ts";

const suite = "aes128gcm16-x25519-esn";

export const scenario = betweenKernels(
  "esn-both-kernels",
  "extended sequence numbers, not in UDP",
  { us: { esp: { proposals: [suite] } }, peer: { esp_proposals: suite } },
  async (context, established) => {
    match(established.child.suite, /-esn$/);
    equal(established.child.encapsulation, "none");
    const state = await inboundState(context, established);
    match(state, /flag .*esn/);
    match(state, /replay_window 1024/);
  },
);
