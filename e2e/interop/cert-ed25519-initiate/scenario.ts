import { certificateScenario } from "../certificate.ts";

export const scenario = certificateScenario("ed25519", "cert-ed25519-initiate", "us");
