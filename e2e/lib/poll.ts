import { setTimeout as delay } from "node:timers/promises";

/**
 * Asks `probe` again and again until it answers something other than `undefined`, and returns that.
 * @param what what is waited for, for the error: "the link to be up".
 * @throws after `timeoutMilliseconds`, with what `describe` says of the last state seen.
 */
export async function pollUntil<T>(
  what: string,
  timeoutMilliseconds: number,
  probe: () => Promise<T | undefined>,
  describe: () => Promise<string> | string = () => "",
  intervalMilliseconds = 50,
): Promise<T> {
  const deadline = performance.now() + timeoutMilliseconds;
  for (;;) {
    const answer = await probe();
    if (answer !== undefined) return answer;
    if (performance.now() > deadline) {
      throw new Error(`waited ${timeoutMilliseconds} ms for ${what}. ${await describe()}`.trim());
    }
    await delay(intervalMilliseconds);
  }
}
