import { kernelEsn } from "../kernel-esn.ts";

export const scenario = kernelEsn("esn-kernel-respond", "AES-256-GCM", "aes256gcm16-x25519-esn", "peer");
