import { join } from "node:path";
import { inGuest, testing } from "../kernel-plane.ts";

export const scenario = inGuest(
  "xfrm-interfaces",
  "xfrm interfaces of Debian's kernel: routes say what goes through a link of 0.0.0.0/0, rekeyed with 0 lost; two gateways with such a link, its interface deleted, the outside one down and up, one of them killed",
  {
    "cases of interfaces between two planes": join(testing, "xfrm-interface-runner.ts"),
    "cases of two gateways": join(import.meta.dirname, "gateways.ts"),
  },
);
