import { join } from "node:path";
import { inGuest, testing } from "../kernel-plane.ts";

export const scenario = inGuest(
  "xfrm-lockdown",
  "Debian's kernel tells the keys of SAs until it is locked down: an SA whose peer moves is made again with its key, or not at all",
  { "cases of an SA that moves": join(testing, "xfrm-lockdown-runner.ts") },
);
