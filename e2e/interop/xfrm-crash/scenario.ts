import { onKernelPlanes } from "../kernel-plane.ts";

export const scenario = onKernelPlanes("xfrm-crash", "our gateway killed, its SAs left in the kernel, and started again", ["crash-both-kernels"]);
