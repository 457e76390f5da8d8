import { volumeRekey } from "../volume-rekey.ts";

export const scenario = volumeRekey("rekey-child-by-bytes-us", "1 MiB by us", { esp: { proposals: ["aes256gcm16-x25519"], rekeyBytes: 1_048_576 } }, {});
