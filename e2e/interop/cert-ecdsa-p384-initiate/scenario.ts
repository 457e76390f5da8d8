import { certificateScenario } from "../certificate.ts";

export const scenario = certificateScenario("ecdsa-p384", "cert-ecdsa-p384-initiate", "us");
