import { volumeRekey } from "../volume-rekey.ts";

export const scenario = volumeRekey(
  "rekey-child-by-packets-us",
  "1,000 packets by us",
  { esp: { proposals: ["aes256gcm16-x25519"], rekeyPackets: 1_000 } },
  {},
);
