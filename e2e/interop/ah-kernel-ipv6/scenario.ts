import { kernelPlain } from "../kernel-plain.ts";

export const scenario = kernelPlain({
  name: "ah-kernel-ipv6",
  what: "AH with HMAC-SHA-384",
  protocol: "ah",
  proposal: "sha384-x25519",
  initiator: "us",
  outside: 6,
});
