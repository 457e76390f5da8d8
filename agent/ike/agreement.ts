import type { KeyExchange } from "../crypto/key-exchange.ts";
import type { SaMode } from "../ipsec/security-association.ts";
import type { TrafficSelector } from "../ipsec/traffic-selector.ts";
import type { EspSpi, IkeSpi } from "../wire/ikev2/message-types.ts";
import type { ChildConfig, Instant } from "./endpoint-types.ts";
import type { EspSuite, IkeSuite } from "./negotiation/choose-proposal.ts";

/*
 * What CREATE_CHILD_SA has agreed on and is not there yet: additional key exchanges (RFC 9370 §2.2.4) come between the agreement and
 * the SA. Both ends keep the same facts, each with its own directions.
 */

export interface AgreedChild {
  readonly name: string;
  /** Our side of what was agreed under: it may have changed by the time the SA is there. */
  readonly config: ChildConfig;
  readonly suite: EspSuite;
  readonly mode: SaMode;
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  /** Of the first key exchange; null without PFS. */
  readonly secret: Uint8Array | null;
  readonly inboundSpi: EspSpi;
  readonly outboundSpi: EspSpi;
  readonly localSelectors: readonly TrafficSelector[];
  readonly remoteSelectors: readonly TrafficSelector[];
  /** Both ends have sent SA_RESOURCE_INFO (RFC 9611). */
  readonly isShared: boolean;
}

export interface AgreedIke {
  readonly suite: IkeSuite;
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  readonly spiI: IkeSpi;
  readonly spiR: IkeSpi;
  readonly secret: Uint8Array;
}

/** Initiator: an IKE_FOLLOWUP_KE is under way. `secrets`: of the additional key exchanges before it. */
export interface FollowUp<Agreed> {
  readonly agreed: Agreed;
  readonly secrets: readonly Uint8Array[];
  readonly kex: KeyExchange;
}

/** Responder: waits for the next IKE_FOLLOWUP_KE, which brings `link` along. */
export interface PendingExchange {
  link: Uint8Array;
  readonly secrets: Uint8Array[];
  readonly forgetAt: Instant;
  readonly purpose:
    | { readonly kind: "createChild"; readonly agreed: AgreedChild }
    | { readonly kind: "rekeyChild"; readonly childSaId: string; readonly agreed: AgreedChild }
    | { readonly kind: "rekeyIke"; readonly agreed: AgreedIke };
}
