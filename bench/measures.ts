/** TCP streams together: Mbit/s. CPU seconds a gigabit. IP packets of so many octets a second. Round trips: milliseconds, idle and beside a TCP stream. */
export const measures = ["tcp1", "tcp4", "tcp16", "cpu", "packets64", "packets1400", "idleP50", "idleP99", "loadedP50", "loadedP99"] as const;
export type MeasureName = (typeof measures)[number];

export type Samples = Map<string, readonly number[]>;
