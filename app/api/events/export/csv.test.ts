import { expect, it } from "vitest";
import { csvLine } from "./csv.ts";

it("quotes every cell and doubles quotes inside", () => expect(csvLine(["a,b", 'say "x"'])).toBe('"a,b","say ""x"""\r\n'));
it("keeps a spreadsheet from running what somebody typed", () => expect(csvLine(["=1+1", "@x"])).toBe('"\'=1+1","\'@x"\r\n'));
