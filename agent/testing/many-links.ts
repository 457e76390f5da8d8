import { Endpoint } from "../ike/endpoint.ts";
import type { Effect, EndpointOptions, IkeEvent, Input, LinkConfig } from "../ike/endpoint-types.ts";
import { linkConfigs, TEST_OPTIONS } from "./pair.ts";
import { SeededRandom } from "./seeded-random.ts";

const ADDRESS = { a: "192.0.2.1", b: "192.0.2.2" } as const;

/** Two endpoints with many links between them on one address each, over a path without delay. Time moves when told. */
export class ManyLinks {
  readonly a = new Endpoint(OPTIONS, new SeededRandom(1));
  readonly b = new Endpoint(OPTIONS, new SeededRandom(2));
  readonly events: IkeEvent[] = [];
  now = 1_000_000;

  /** Both ends of link `i`, and the handshake that follows. */
  add(i: number): void {
    const { a, b } = configs(i);
    this.give("b", { kind: "setLink", link: b });
    this.give("a", { kind: "setLink", link: a });
  }

  /** Carries messages until nobody sends any more; all effects of `side`'s first turn come back. */
  give(side: "a" | "b", input: Input): Effect[] {
    this.now += 1;
    const first = this[side].handle(input, this.now);
    this.carry(side, first);
    return first;
  }

  /** Carries what this turn of `side` sends, and all that follows from it. */
  carry(side: "a" | "b", effects: readonly Effect[]): void {
    const waiting: { from: "a" | "b"; effects: readonly Effect[] }[] = [{ from: side, effects }];
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const to = next.from === "a" ? "b" : "a";
      for (const effect of next.effects) {
        if (effect.kind === "event") this.events.push(effect.event);
        if (effect.kind !== "transmit") continue;
        const remote = { address: ADDRESS[next.from], port: effect.encapsulated ? 4500 : 500 };
        waiting.push({ from: to, effects: this[to].handle({ kind: "datagram", local: effect.remote, remote, bytes: effect.bytes }, this.now) });
      }
    }
  }
}

const OPTIONS: EndpointOptions = { ...TEST_OPTIONS, cookieThreshold: 1_000_000, halfOpenLimit: 1_000_000 };

/** Link `i` is told from the others by the identity of its initiator `a` alone. */
export function configs(i: number): { readonly a: LinkConfig; readonly b: LinkConfig } {
  const { a, b } = linkConfigs({ both: { id: `link-${i}`, livenessMs: 0 } });
  const identity = { kind: "fqdn", name: `a${i}.example` } as const;
  return { a: { ...a, localIdentity: identity }, b: { ...b, remoteIdentity: identity } };
}
