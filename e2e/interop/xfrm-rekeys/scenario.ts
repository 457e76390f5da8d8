import { onKernelPlanes } from "../kernel-plane.ts";

export const scenario = onKernelPlanes(
  "xfrm-rekeys",
  "AES-CBC with HMAC; rekeys after so many packets and octets, which the kernel counts; of the IKE SA: 0 lost",
  ["alg-aes256-sha256", "rekey-child-by-packets-us", "rekey-child-by-bytes-us", "rekey-ike-by-us"],
);
