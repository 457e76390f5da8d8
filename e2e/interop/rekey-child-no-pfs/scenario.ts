import { commandedRekey } from "../rekey.ts";

export const scenario = commandedRekey("rekey-child-no-pfs", "child", "us", "us", "aes256gcm16");
