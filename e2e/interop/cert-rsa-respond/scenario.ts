import { certificateScenario } from "../certificate.ts";

export const scenario = certificateScenario("rsa-2048", "cert-rsa-respond", "peer");
