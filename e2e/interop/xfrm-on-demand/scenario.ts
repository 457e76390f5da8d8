import { onKernelPlanes } from "../kernel-plane.ts";

export const scenario = onKernelPlanes("xfrm-on-demand", "a link on demand, a remote network of 0.0.0.0/0", ["trap-on-demand", "everything-remote"]);
