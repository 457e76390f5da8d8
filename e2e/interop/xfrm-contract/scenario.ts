import { inKernelHost } from "../kernel-plane.ts";

export const scenario = inKernelHost("xfrm-contract", "the kernel's plane keeps the contract of all data planes, and between two of them packets pass", {
  "cases of the contract": "xfrm-contract-runner.ts",
  "cases between two planes": "xfrm-pair-runner.ts",
});
