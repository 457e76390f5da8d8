import { kernelPlain } from "../kernel-plain.ts";

export const scenario = kernelPlain({ name: "ah-kernel-initiate", what: "AH with HMAC-SHA-256", protocol: "ah", proposal: "sha256-x25519", initiator: "us" });
