import type { Pair, Side } from "./pair.ts";

/** The longest that a packet is held up on the way in this model. */
const LATEST_MS = 1_000;

/**
 * A model of traffic that never stops: at every step each side sends a packet under its current policy, and any packet may take up
 * to a second. Whenever one could arrive, the other side has to have its inbound SA installed. Returns the list of what went
 * wrong, which grows as the pair runs.
 */
export function watchFlow(pair: Pair): string[] {
  const losses: string[] = [];
  const watches = [
    { from: pair.a, to: pair.b, current: currentSpis(pair.a), lastSent: new Map<number, number>() },
    { from: pair.b, to: pair.a, current: currentSpis(pair.b), lastSent: new Map<number, number>() },
  ];
  pair.afterStep = () => {
    const now = pair.clock.now();
    for (const watch of watches) {
      // What was current until this step was sent on until now.
      for (const spi of watch.current) watch.lastSent.set(spi, now);
      const next = currentSpis(watch.from);
      if (next.length < watch.current.length) losses.push(`${now}: ${watch.from.name} has nothing to send on`);
      watch.current = next;
      for (const spi of next) watch.lastSent.set(spi, now);
      for (const [spi, at] of watch.lastSent) {
        if (now - at > LATEST_MS) watch.lastSent.delete(spi);
        else if (!watch.to.inbound.has(spi))
          losses.push(`${now}: ${watch.to.name} has no inbound SA ${spi}, on which ${watch.from.name} sent ${now - at} ms ago`);
      }
    }
  };
  return losses;
}

function currentSpis(side: Side): number[] {
  return [...side.policies.values()].flatMap((policy) => (policy.action.kind === "protect" ? [policy.action.spi] : []));
}
