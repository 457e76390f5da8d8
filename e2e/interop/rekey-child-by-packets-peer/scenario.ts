import { volumeRekey } from "../volume-rekey.ts";

export const scenario = volumeRekey(
  "rekey-child-by-packets-peer",
  "500 packets by the peer",
  {},
  { child: { rekey_packets: 500, life_packets: 100_000, rand_packets: 0 } },
);
