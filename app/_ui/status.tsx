import {
  Ban,
  CircleAlert,
  CircleCheck,
  CircleDashed,
  CircleHelp,
  CircleMinus,
  CirclePause,
  CircleX,
  LoaderCircle,
  type LucideIcon,
  PlugZap,
  Unplug,
} from "lucide-react";

type Tone = "up" | "neg" | "deg" | "down" | "off";

const toneClass: Record<Tone, string> = {
  up: "bg-up-bg text-up",
  neg: "bg-neg-bg text-neg",
  deg: "bg-deg-bg text-deg",
  down: "bg-down-bg text-down",
  off: "bg-off-bg text-off",
};

interface Face {
  readonly word: string;
  readonly tone: Tone;
  readonly icon: LucideIcon;
}

const faces = {
  up: { word: "Up", tone: "up", icon: CircleCheck },
  negotiating: { word: "Negotiating", tone: "neg", icon: LoaderCircle },
  degraded: { word: "Degraded", tone: "deg", icon: CircleAlert },
  down: { word: "Down", tone: "down", icon: CircleX },
  unknown: { word: "Unknown", tone: "off", icon: CircleHelp },
  idle: { word: "Idle", tone: "off", icon: CircleDashed },
  disabled: { word: "Disabled", tone: "off", icon: CirclePause },
  enabled: { word: "Enabled", tone: "up", icon: CircleCheck },
  connected: { word: "Connected", tone: "up", icon: PlugZap },
  disconnected: { word: "Disconnected", tone: "down", icon: Unplug },
  never: { word: "Not enrolled", tone: "off", icon: CircleMinus },
  revoked: { word: "Revoked", tone: "down", icon: Ban },
  withdrawn: { word: "Withdrawn", tone: "down", icon: Ban },
  succeeded: { word: "Succeeded", tone: "up", icon: CircleCheck },
  failed: { word: "Failed", tone: "down", icon: CircleX },
  running: { word: "Running", tone: "neg", icon: LoaderCircle },
  waiting: { word: "Waiting", tone: "off", icon: CircleMinus },
  skipped: { word: "Skipped", tone: "off", icon: CircleMinus },
  valid: { word: "Valid", tone: "up", icon: CircleCheck },
  expiring: { word: "Expiring", tone: "deg", icon: CircleAlert },
  expired: { word: "Expired", tone: "down", icon: CircleX },
  paused: { word: "Paused", tone: "off", icon: CirclePause },
  staged: { word: "Staged", tone: "neg", icon: CircleMinus },
  retiring: { word: "Retiring", tone: "off", icon: CircleMinus },
  active: { word: "Active", tone: "up", icon: CircleCheck },
} as const satisfies Record<string, Face>;

export type StatusName = keyof typeof faces;

/** Dot, icon and word: never colour alone. Names it does not know read as themselves in grey, never green. */
export function Status({ name, word }: { name: StatusName; word?: string }) {
  const face: Face = faces[name];
  const Icon = face.icon;
  const spinning = face.icon === LoaderCircle;
  return (
    <span className={`status ${toneClass[face.tone]}`} data-status={name}>
      <span aria-hidden className="size-1.5 rounded-full bg-current" />
      <Icon aria-hidden className={`size-3.5 ${spinning ? "animate-[spin_1.6s_linear_infinite]" : ""}`} />
      {word ?? face.word}
    </span>
  );
}

export function isStatusName(name: string): name is StatusName {
  return Object.hasOwn(faces, name);
}
