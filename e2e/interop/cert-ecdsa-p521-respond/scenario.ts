import { certificateScenario } from "../certificate.ts";

export const scenario = certificateScenario("ecdsa-p521", "cert-ecdsa-p521-respond", "peer");
