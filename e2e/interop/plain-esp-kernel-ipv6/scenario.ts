import { kernelPlain } from "../kernel-plain.ts";

export const scenario = kernelPlain({
  name: "plain-esp-kernel-ipv6",
  what: "ESP with AES-128-GCM",
  protocol: "esp",
  proposal: "aes128gcm16-x25519",
  initiator: "us",
  outside: 6,
});
