import { kernelEsn } from "../kernel-esn.ts";

export const scenario = kernelEsn("esn-kernel-initiate", "AES-128-GCM", "aes128gcm16-x25519-esn", "us");
