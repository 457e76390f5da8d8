import { Activity, Cable, CalendarClock, KeyRound, LayoutDashboard, type LucideIcon, MapPin, Settings } from "lucide-react";

export interface Place {
  readonly href: string;
  readonly label: string;
  readonly icon: LucideIcon;
}

/** The nouns of the product, in the order of the sidebar. */
export const places: readonly Place[] = [
  { href: "/", label: "Overview", icon: LayoutDashboard },
  { href: "/links", label: "Links", icon: Cable },
  { href: "/sites", label: "Sites", icon: MapPin },
  { href: "/keys", label: "Keys", icon: KeyRound },
  { href: "/rotations", label: "Rotations", icon: CalendarClock },
  { href: "/events", label: "Events", icon: Activity },
  { href: "/settings/account", label: "Settings", icon: Settings },
];

/** Whether `path` lies in the part of the console that `href` opens. */
export function isWithin(path: string, href: string): boolean {
  if (href === "/") return path === "/";
  const root = href.startsWith("/settings") ? "/settings" : href;
  return path === root || path.startsWith(`${root}/`);
}
