import { kernelEsn } from "../kernel-esn.ts";

export const scenario = kernelEsn("esn-kernel-hmac", "AES-256-CBC with HMAC-SHA-256", "aes256-sha256-x25519-esn", "us");
