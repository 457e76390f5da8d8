/** How long a line may wait for others: a write to a pipe costs as much as much of a handshake, and after an outage there are thousands. */
const GATHER_MS = 50;

/** A log on standard error whose lines leave together. What waits at the end of the process is written then. */
export function createLog(
  now: () => Date = () => new Date(),
  write: (text: string) => void = (text) => void process.stderr.write(text),
): (line: string) => void {
  let waiting = "";
  const flush = (): void => {
    const text = waiting;
    waiting = "";
    if (text !== "") write(text);
  };
  process.once("exit", flush);
  return (line) => {
    if (waiting === "") setTimeout(flush, GATHER_MS).unref();
    waiting += `${now().toISOString()} ${line}\n`;
  };
}
