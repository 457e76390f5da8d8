import { aesGcmScenario } from "../aes-gcm.ts";

export const scenario = aesGcmScenario("aes-gcm-openssl", "of OpenSSL, as asked for", () => ({ CULVERT_AES_GCM: "openssl" }), /; AES-GCM by OpenSSL$/);
