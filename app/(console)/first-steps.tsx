import { Check } from "lucide-react";
import Link from "next/link";
import type { OverviewView } from "../../server/overview/read-overview.ts";
import { Panel } from "../_ui/page.tsx";

/** What a console without links shows first: the three steps to a tunnel, with how far each has come. */
export function FirstSteps({ sites }: { sites: OverviewView["sites"] }) {
  const steps = [
    {
      title: "Add two sites",
      text: "A site is a place with networks behind a gateway. A third-party peer needs no site of its own.",
      done: sites.total >= 2,
      href: "/sites/new",
      action: "New site",
    },
    {
      title: "Connect their gateways",
      text: `One copied command on each gateway. ${sites.enrolled} of ${sites.total} enrolled so far.`,
      done: sites.total >= 2 && sites.enrolled === sites.total,
      href: "/sites",
      action: "Sites",
    },
    {
      title: "Link them",
      text: "Choose both ends, review what each gateway will get, and watch the tunnel come up.",
      done: false,
      href: "/links/new",
      action: "New link",
    },
  ];
  const current = steps.findIndex((step) => !step.done);
  return (
    <Panel title="Three steps to the first tunnel" flush>
      <ol className="divide-y divide-line">
        {steps.map((step, index) => (
          <li key={step.title} className="flex flex-wrap items-center gap-x-4 gap-y-2 px-4 py-3 text-[13px]">
            <span className="grid size-6 shrink-0 place-items-center rounded-full bg-raised text-[12.5px] font-medium">
              {step.done ? <Check aria-label="Done" className="size-4 text-up" /> : index + 1}
            </span>
            <div className="min-w-48 flex-1">
              <p className="font-medium">{step.title}</p>
              <p className="text-text-2">{step.text}</p>
            </div>
            <Link href={step.href} className={index === current ? "btn btn-primary" : "btn"}>
              {step.action}
            </Link>
          </li>
        ))}
      </ol>
    </Panel>
  );
}
