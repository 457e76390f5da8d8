/** Looks every 20 ms until there is something, for 10 s at most. */
export async function until<T>(look: () => Promise<T>): Promise<NonNullable<T>> {
  for (const deadline = Date.now() + 10_000; ; ) {
    const found = await look();
    if (found !== null && found !== undefined && found !== false) return found as NonNullable<T>;
    if (Date.now() > deadline) throw new Error("it did not happen within 10 s");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
