import { kernelPlain } from "../kernel-plain.ts";

export const scenario = kernelPlain({
  name: "plain-esp-kernel-initiate",
  what: "ESP with AES-256-GCM",
  protocol: "esp",
  proposal: "aes256gcm16-x25519",
  initiator: "us",
});
