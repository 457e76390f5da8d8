/** How patient and how careful the gateway's endpoint is; its ports come from the desired state. */
export const endpointDefaults = {
  cookieThreshold: 64,
  halfOpenLimit: 1_024,
  retransmitFirstMs: 1_000,
  retransmitFactor: 1.8,
  retransmitTries: 5,
  retryFirstMs: 1_000,
  retryMaxMs: 30_000,
  rekeyJitter: 0.1,
} as const;
