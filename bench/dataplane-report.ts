import { type ContenderName, contenders } from "./contenders.ts";
import type { DataplaneFigures } from "./dataplane.ts";
import { growthNetworks, growthSizes } from "./growth.ts";
import type { MeasureName } from "./measures.ts";

/* The data plane's figures as the README shows them: tables, ratios to the peers, and a plot. */

type Medians = DataplaneFigures["medians"];

export function dataplaneText(figures: DataplaneFigures, machine: string): string {
  const { medians, ciphers, growth, rounds, secondsEach, missing } = figures;
  const cells = (name: ContenderName, names: readonly MeasureName[], digits: number) =>
    names.map((measure) => cell(medians[name][measure], digits)).join(" | ");
  const rows = (names: readonly MeasureName[], digits: number) => contenders.map(({ name, label }) => `| ${label} | ${cells(name, names, digits)} |`);
  return [
    `Both ends and the internet between them on one machine (${machine}), MTU 1,500, AES-128-GCM (WireGuard: ChaCha20-Poly1305), TCP with cubic, ${rounds} interleaved rounds of ${secondsEach} s a figure after a second's stream over each path, medians, ${new Date().toISOString().slice(0, 10)}:`,
    "",
    "![What passes through each data plane](docs/images/dataplane.svg)",
    "",
    "| Path | TCP, 1 stream, Mbit/s | 4 streams | 16 streams | CPU s a Gbit | 64-octet packets a second | 1,400-octet packets a second |",
    "|---|---|---|---|---|---|---|",
    ...contenders.map(
      ({ name, label }) =>
        `| ${label} | ${cells(name, ["tcp1", "tcp4", "tcp16"], 0)} | ${cells(name, ["cpu"], 2)} | ${cells(name, ["packets64", "packets1400"], 0)} |`,
    ),
    "",
    "| Round trips, ms | idle, p50 | idle, p99 | beside a TCP stream, p50 | p99 |",
    "|---|---|---|---|---|",
    ...rows(["idleP50", "idleP99", "loadedP50", "loadedP99"], 2),
    "",
    "| One TCP stream, Mbit/s | AES-128-GCM | AES-256-GCM | ChaCha20-Poly1305 |",
    "|---|---|---|---|",
    ...contenders
      .filter(({ name }) => name !== "veth")
      .map(
        ({ name, label }) =>
          `| ${label} | ${(["aes128gcm16", "aes256gcm16", "chacha20poly1305"] as const).map((one) => cell(ciphers[one][name], 0)).join(" | ")} |`,
      ),
    "",
    `64-octet packets a second with 1, 100 and 10,000 SAs and policies in each gateway: to one destination ${growthSizes.map((size) => cell(growth[size].one, 0)).join(", ")}; to ${growthNetworks.toLocaleString("en")} networks in turn, which share them, ${growthSizes.map((size) => cell(growth[size].each, 0)).join(", ")}.`,
    "",
    ratios(medians),
    ...missing.map((reason) => `Missing: ${reason}`),
  ].join("\n");
}

function ratios(medians: Medians): string {
  const over = (ours: ContenderName, theirs: ContenderName, measure: MeasureName): string => {
    const [a, b] = [medians[ours][measure], medians[theirs][measure]];
    return a === null || b === null ? "?" : (a / b).toFixed(1);
  };
  const both = (measure: MeasureName) =>
    `${over("culvert", "strongswan-kernel-libipsec", measure)} × kernel-libipsec and ${over("culvert", "wireguard-go", measure)} × wireguard-go`;
  const alone = (measure: MeasureName) =>
    `${over("culvert-typescript-alone", "strongswan-kernel-libipsec", measure)} × and ${over("culvert-typescript-alone", "wireguard-go", measure)} ×`;
  const newer = `${over("culvert-newer-library", "strongswan-kernel-libipsec", "tcp1")} × and ${over("culvert-newer-library", "wireguard-go", "tcp1")} ×`;
  return `One TCP stream: ${both("tcp1")} (with libipsec-mb2 ${newer}, TypeScript alone ${alone("tcp1")}). 4 and 16 streams: ${both("tcp4")}; ${both("tcp16")}. 64-octet packets: ${both("packets64")} (TypeScript alone ${alone("packets64")}).`;
}

function cell(value: number | null | undefined, digits: number): string {
  if (value == null) return "–";
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Bars of what passes, an SVG of its own in light and dark. */
export function drawDataplane({ medians }: DataplaneFigures): string {
  const panels: readonly (readonly [string, MeasureName])[] = [
    ["TCP, 1 stream, Mbit/s", "tcp1"],
    ["TCP, 16 streams, Mbit/s", "tcp16"],
    ["64-octet packets a second", "packets64"],
    ["1,400-octet packets a second", "packets1400"],
  ];
  const shown = contenders.filter(({ name }) => name !== "veth");
  const [width, rowHeight, labelWidth, barWidth, panelGap] = [760, 22, 330, 340, 34];
  const panelHeight = shown.length * rowHeight + panelGap;
  const body = panels.map(([title, measure], panel) => {
    const most = Math.max(...shown.map(({ name }) => medians[name][measure] ?? 0), 1);
    const top = panel * panelHeight + 22;
    const bars = shown.map(({ name, label }, row) => {
      const value = medians[name][measure];
      const y = top + 8 + row * rowHeight;
      const length = Math.max(1, Math.round(((value ?? 0) / most) * barWidth));
      const kind = name.startsWith("culvert") ? "own" : "peer";
      return `<text x="0" y="${y + 14}">${label}</text><rect class="${kind}" x="${labelWidth}" y="${y + 3}" width="${length}" height="14" rx="2"/><text x="${labelWidth + length + 6}" y="${y + 14}">${cell(value, 0)}</text>`;
    });
    return `<text class="title" x="0" y="${top}">${title}</text>${bars.join("")}`;
  });
  const style = `text{font:13px system-ui,sans-serif;fill:#14181f}.title{font-weight:600}.own{fill:#1d5bd8}.peer{fill:#7d8794}@media(prefers-color-scheme:dark){text{fill:#eef1f5}.own{fill:#6ea3ff}.peer{fill:#697482}}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${panels.length * panelHeight}" role="img" aria-label="What passes through each data plane"><style>${style}</style>${body.join("")}</svg>\n`;
}
