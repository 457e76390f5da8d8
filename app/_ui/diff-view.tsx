import { type Change, changesBetween } from "./changes.ts";

/** What differs between two JSON values, a line a leaf: its path, the value before (−) and after (+). */
export function DiffView({ before, after, empty = "Nothing differs." }: { before: unknown; after: unknown; empty?: string }) {
  const changes = changesBetween(before, after);
  if (changes.length === 0) return <p className="text-[13px] text-text-2">{empty}</p>;
  return (
    <ul className="divide-y divide-line overflow-hidden rounded-md border border-line text-[12.5px]">
      {changes.map((change) => (
        <DiffLine key={change.path} change={change} />
      ))}
    </ul>
  );
}

function DiffLine({ change }: { change: Change }) {
  return (
    <li className="grid gap-1 p-2 sm:grid-cols-[minmax(140px,1fr)_2fr]">
      <code className="break-all text-text-2">{change.path}</code>
      <div className="min-w-0 font-mono break-all">
        {change.before === undefined ? null : (
          <div className="bg-down-bg px-1 text-down">
            <span aria-hidden>− </span>
            <span className="sr-only">before: </span>
            {change.before}
          </div>
        )}
        {change.after === undefined ? null : (
          <div className="bg-up-bg px-1 text-up">
            <span aria-hidden>+ </span>
            <span className="sr-only">after: </span>
            {change.after}
          </div>
        )}
      </div>
    </li>
  );
}
