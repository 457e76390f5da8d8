/** Work that is asked for again and again and needs doing once: while it runs, any number of further requests are one more run. */
export interface Errand {
  ask(): void;
  /** Resolves when nothing is under way any more. */
  idle(): Promise<void>;
}

/** A failure is logged and ends only that run: whoever asks next tries again. Errands do not wait for each other. */
export function errand(what: string, log: (line: string) => void, work: () => Promise<void>): Errand {
  let isAsked = false;
  let running: Promise<void> | null = null;

  async function run(): Promise<void> {
    while (isAsked) {
      isAsked = false;
      try {
        await work();
      } catch (error) {
        log(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    running = null;
  }

  return {
    ask() {
      isAsked = true;
      running ??= run();
    },
    async idle() {
      await running;
    },
  };
}
