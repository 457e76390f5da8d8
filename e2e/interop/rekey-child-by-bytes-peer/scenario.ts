import { volumeRekey } from "../volume-rekey.ts";

export const scenario = volumeRekey(
  "rekey-child-by-bytes-peer",
  "1 MB by the peer",
  {},
  { child: { rekey_bytes: 1_000_000, life_bytes: 20_000_000, rand_bytes: 0 } },
);
