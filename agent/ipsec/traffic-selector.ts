/**
 * A traffic selector (RFC 4301 §4.4.1.1, RFC 7296 §3.13.1): inclusive ranges of addresses and ports of one IP protocol.
 * Addresses are bigint so that IPv4 and IPv6 share one arithmetic; `family` keeps them apart.
 */
export interface TrafficSelector {
  readonly family: 4 | 6;
  /** 0: any protocol. */
  readonly ipProtocol: number;
  readonly startPort: number;
  readonly endPort: number;
  readonly startAddress: bigint;
  readonly endAddress: bigint;
}
