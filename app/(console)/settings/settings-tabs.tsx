"use client";

import Link from "next/link";
import { usePathname } from "next/navigation";

const pages = [
  { href: "/settings/account", label: "Account" },
  { href: "/settings/users", label: "Users" },
];

export function SettingsTabs() {
  const path = usePathname();
  return (
    <nav aria-label="Settings" className="mb-5 flex gap-1 border-b border-line">
      {pages.map((page) => (
        <Link
          key={page.href}
          href={page.href}
          aria-current={path === page.href ? "page" : undefined}
          className={`-mb-px border-b-2 px-3 py-2 text-[13px] ${path === page.href ? "border-accent font-medium text-text" : "border-transparent text-text-2"}`}
        >
          {page.label}
        </Link>
      ))}
    </nav>
  );
}
