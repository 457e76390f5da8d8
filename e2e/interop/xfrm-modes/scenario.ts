import { onKernelPlanes } from "../kernel-plane.ts";

export const scenario = onKernelPlanes("xfrm-modes", "extended sequence numbers, transport mode, AH, each rekeyed from both ends, 0 lost", [
  "esn-both-kernels",
  "transport-both-kernels",
  "ah-both-kernels",
]);
