import type { KeyExchange } from "../crypto/key-exchange.ts";
import type { EspSpi, IkeSpi, Proposal } from "../wire/ikev2/message-types.ts";
import type { TrafficSelector } from "../ipsec/traffic-selector.ts";
import type { PackedOctets } from "../wire/octets.ts";
import type { AgreedChild, AgreedIke, FollowUp, PendingExchange } from "./agreement.ts";
import type { ChildConfig } from "./endpoint-types.ts";
import type { IkeSa } from "./ike-sa.ts";
import type { Path } from "./path-index.ts";

/** A request that waits for its turn in the window of an IKE SA. */
export type Task =
  | { readonly kind: "createChild"; readonly childName: string }
  | { readonly kind: "rekeyChild"; readonly childSaId: string }
  | { readonly kind: "rekeyIke" }
  | { readonly kind: "deleteChild"; readonly childSaId: string }
  | { readonly kind: "deleteIke" }
  /** An empty INFORMATIONAL (RFC 7296 §1.4). `thenDelete`: the duplicate IKE SA that goes once the peer has answered on this one. */
  | { readonly kind: "liveness"; readonly thenDelete: string | null }
  /** See path-search.ts. */
  | { readonly kind: "pathProbe" };

/** The IKE SA is to be deleted: with the next request. What waits before that has become pointless. */
export function queueDeleteIke({ window }: { readonly window: { readonly queue: Task[] } }): void {
  window.queue.splice(0, window.queue.length, { kind: "deleteIke" });
}

/** A request on its way, with what its answer will need. */
export type ActiveTask =
  | { readonly kind: "ikeSaInit" }
  /** `request`: the message in the form that IKE_AUTH will cover. */
  | { readonly kind: "ikeIntermediate"; readonly kex: KeyExchange; readonly request: Uint8Array }
  /** `isFirst`: it says INITIAL_CONTACT, so the peer has no other IKE SA with us from then on. */
  | { readonly kind: "ikeAuth"; readonly child: ChildRequest | null; readonly credentialId: string; readonly isFirst: boolean }
  /** `followUp` in these three: CREATE_CHILD_SA has been answered, IKE_FOLLOWUP_KE is under way. */
  | { readonly kind: "createChild"; readonly child: ChildRequest; readonly followUp: FollowUp<AgreedChild> | null }
  | {
      readonly kind: "rekeyChild";
      readonly childSaId: string;
      readonly child: ChildRequest;
      rival: ChildRival | null;
      readonly followUp: FollowUp<AgreedChild> | null;
    }
  | {
      readonly kind: "rekeyIke";
      readonly spi: IkeSpi;
      readonly nonce: Uint8Array;
      readonly kex: KeyExchange;
      readonly offered: readonly Proposal[];
      rival: IkeRival | null;
      readonly followUp: FollowUp<AgreedIke> | null;
    }
  | { readonly kind: "deleteChild"; readonly childSaId: string }
  | { readonly kind: "deleteIke" }
  | { readonly kind: "liveness"; readonly thenDelete: string | null }
  /** `octets`: of the outer packet. `hasFailed`: what is answered now is the empty request in its place. */
  | { readonly kind: "pathProbe"; readonly path: Path; readonly octets: number; hasFailed: boolean };

/** `resource`: counted from 1; 0: none in particular. `count`: of those there when it was asked for. */
export type Sharing =
  | { readonly kind: "none" }
  | { readonly kind: "allowed"; readonly resource: number }
  | { readonly kind: "beside"; readonly resource: number; readonly count: number };

/** Our half of a Child SA that is being asked for. */
export interface ChildRequest {
  readonly childName: string;
  readonly config: ChildConfig;
  readonly inboundSpi: EspSpi;
  readonly nonce: Uint8Array;
  /** Null: no PFS, or IKE_AUTH. */
  readonly kex: KeyExchange | null;
  readonly offered: readonly Proposal[];
  readonly localSelectors: readonly TrafficSelector[];
  readonly remoteSelectors: readonly TrafficSelector[];
  /** What it says of others with the same selectors: nothing, that there may be such beside it, or that it is one beside those there (RFC 9611). */
  readonly sharing: Sharing;
  /** Outbound SPIs, unknown until then, whose DELETE came before the answer. */
  readonly deletedMeanwhile: number[];
}

/** The peer's rekey of the same Child SA, answered while ours was on its way (RFC 7296 §2.8.1). */
export interface ChildRival {
  /** Null while it is pending. */
  readonly childSaId: string | null;
  /** Waits for its additional key exchanges. */
  readonly pending: PendingExchange | null;
  readonly lowestNonce: PackedOctets;
}

/** The same for an IKE SA (RFC 7296 §2.8.2). */
export interface IkeRival {
  readonly sa: IkeSa | null;
  readonly pending: PendingExchange | null;
  readonly lowestNonce: PackedOctets;
}
