import { inGuest } from "../kernel-plane.ts";

export const scenario = inGuest(
  "xfrm-interfaces",
  "xfrm interfaces of Debian's kernel: routes say what goes through a link of 0.0.0.0/0, rekeyed with 0 lost",
  {
    "cases of interfaces between two planes": "xfrm-interface-runner.ts",
  },
);
