import { aesGcmScenario } from "../aes-gcm.ts";

export const scenario = aesGcmScenario("aes-gcm-library", "of this Debian's libIPSec_MB", () => ({}), /; AES-GCM by libIPSec_MB \d+\.\d+\.\d+ \(/);
