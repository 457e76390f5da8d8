import { match } from "node:assert/strict";
import { betweenKernels, inboundState } from "../both-kernels.ts";

export const scenario = betweenKernels(
  "transport-both-kernels",
  "transport mode between the gateways themselves, their IKE beside it",
  {
    us: { children: [{ name: "net", mode: "transport", localNetworks: ["192.0.2.1/32"], remoteNetworks: ["198.51.100.1/32"] }] },
    peer: { mode: "transport", local_ts: "198.51.100.1/32", remote_ts: "192.0.2.1/32" },
  },
  async (context, established) => match(await inboundState(context, established), /mode transport/),
  ({ net }) => ({ net: { left: { ...net.left, insideAddress: net.left.outsideAddress }, right: { ...net.right, insideAddress: net.right.outsideAddress } } }),
);
