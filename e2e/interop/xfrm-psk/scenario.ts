import { onKernelPlanes } from "../kernel-plane.ts";

export const scenario = onKernelPlanes("xfrm-psk", "a pre-shared key, a Child SA rekeyed three times, 0 lost", ["psk-initiate", "rekey-child-by-us"]);
