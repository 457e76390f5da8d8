import { kernelPlain } from "../kernel-plain.ts";

export const scenario = kernelPlain({
  name: "plain-esp-kernel-respond",
  what: "ESP with AES-128-CBC and HMAC-SHA-256",
  protocol: "esp",
  proposal: "aes128-sha256-x25519",
  initiator: "peer",
});
