import Link from "next/link";
import type { LucideIcon } from "lucide-react";
import type { ReactNode } from "react";

/** The head of every page: its one h1, a line below, and the actions at the right. */
export function PageHead(props: { title: string; lead?: ReactNode; back?: { href: string; label: string }; actions?: ReactNode; beside?: ReactNode }) {
  return (
    <header className="mb-5">
      {props.back ? (
        <Link href={props.back.href} className="link text-[13px]">
          ← {props.back.label}
        </Link>
      ) : null}
      <div className="flex flex-wrap items-center justify-between gap-x-6 gap-y-3">
        <div className="flex min-w-0 flex-wrap items-center gap-3">
          <h1 className="break-words">{props.title}</h1>
          {props.beside}
        </div>
        {props.actions ? <div className="flex flex-wrap items-center gap-2">{props.actions}</div> : null}
      </div>
      {props.lead ? <div className="mt-1 max-w-3xl text-[13px] text-pretty text-text-2">{props.lead}</div> : null}
    </header>
  );
}

/** A bordered section with a heading of its own. */
export function Panel(props: { title?: ReactNode; actions?: ReactNode; children: ReactNode; flush?: boolean; className?: string }) {
  return (
    <section className={`panel min-w-0 ${props.className ?? ""}`}>
      {props.title ? (
        <div className="panel-head">
          <h2>{props.title}</h2>
          {props.actions ? <div className="flex items-center gap-2">{props.actions}</div> : null}
        </div>
      ) : null}
      <div className={props.flush ? "overflow-hidden rounded-b-lg" : "p-4"}>{props.children}</div>
    </section>
  );
}

/** What a list shows before it has anything: why it is empty and the one next step. */
export function Empty(props: { icon: LucideIcon; title: string; children?: ReactNode; action?: ReactNode }) {
  const Icon = props.icon;
  return (
    <div className="flex flex-col items-center px-6 py-12 text-center">
      <Icon aria-hidden className="mb-3 size-6 text-text-3" />
      <p className="font-medium">{props.title}</p>
      {props.children ? <div className="mt-1 max-w-md text-[13px] text-text-2">{props.children}</div> : null}
      {props.action ? <div className="mt-4">{props.action}</div> : null}
    </div>
  );
}

/** A failure said in full: what failed, why, what to do, and the id to quote. */
export function FailureNote({ title, message, requestId }: { title: string; message: string; requestId?: string | null }) {
  return (
    <div role="alert" className="rounded-lg border border-down bg-down-bg p-4 text-[13px]">
      <p className="font-medium text-down">{title}</p>
      <p className="mt-1 text-text">{message}</p>
      {requestId ? (
        <p className="mt-2 text-text-2">
          Request id <code>{requestId}</code>
        </p>
      ) : null}
    </div>
  );
}
