/**
 * One CSV line (RFC 4180), every cell quoted. A cell that a spreadsheet would take for a formula starts with an apostrophe: names
 * in it were typed by people.
 */
export function csvLine(cells: readonly string[]): string {
  return `${cells.map((cell) => `"${(/^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell).replaceAll('"', '""')}"`).join(",")}\r\n`;
}
