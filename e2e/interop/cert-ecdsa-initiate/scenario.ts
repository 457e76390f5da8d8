import { certificateScenario } from "../certificate.ts";

export const scenario = certificateScenario("ecdsa-p256", "cert-ecdsa-initiate", "us");
