/**
 * Has SIGINT, SIGTERM and SIGHUP call `onSignal` and nothing else. The embedded Postgres package installs handlers of its own at
 * import, which end the process before anything else is cleaned up; they are replaced.
 */
export function takeSignals(onSignal: () => void): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.removeAllListeners(signal);
    process.on(signal, onSignal);
  }
}
