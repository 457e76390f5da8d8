import { TunDataPlane } from "../dataplane/tun/tun-data-plane.ts";

/** Prints, as one JSON object, what the TUN plane says that it can where and as whom this is started. */
const plane = await TunDataPlane.create({ tunName: "contract2", mtu: 1_400, natPort: 4_501 });
console.log(JSON.stringify(plane.capabilities));
await plane.close();
