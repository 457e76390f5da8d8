import { doubleNat } from "../double-nat.ts";

export const scenario = doubleNat("nat-both-initiate", "us");
