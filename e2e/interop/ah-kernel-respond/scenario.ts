import { kernelPlain } from "../kernel-plain.ts";

export const scenario = kernelPlain({
  name: "ah-kernel-respond",
  what: "AH with HMAC-SHA-512 and extended sequence numbers",
  protocol: "ah",
  proposal: "sha512-x25519-esn",
  initiator: "peer",
});
