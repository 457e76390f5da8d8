import { deepStrictEqual, throws } from "node:assert/strict";
import { test } from "vitest";
import { formatSection, parseRaw } from "./swanctl-format.ts";

test("writes nested sections, lists, booleans, and quotes text that needs it", () => {
  const text = formatSection({ site: { version: 2, mobike: false, local: { auth: "psk", id: "CN=left, O=x" }, pools: ["a", "b"], absent: undefined } });
  deepStrictEqual(text, 'site {\n  version = 2\n  mobike = no\n  local {\n    auth = psk\n    id = "CN=left, O=x"\n  }\n  pools = a,b\n}\n');
});

test("reads what swanctl printed for an established SA", () => {
  const line =
    "list-sa event {site {uniqueid=1 version=2 state=ESTABLISHED local-id=left.example initiator=yes initiator-spi=e2b07023251fd9cd tasks-active=[IKE_DPD] " +
    "child-sas {net-1 {name=net spi-in=af21e988 bytes-in=0 local-ts=[10.1.0.0/24 10.3.0.0/24] remote-ts=[10.2.0.0/24]}}}}";
  deepStrictEqual(parseRaw(line), {
    site: {
      uniqueid: "1",
      version: "2",
      state: "ESTABLISHED",
      "local-id": "left.example",
      initiator: "yes",
      "initiator-spi": "e2b07023251fd9cd",
      "tasks-active": ["IKE_DPD"],
      "child-sas": {
        "net-1": { name: "net", "spi-in": "af21e988", "bytes-in": "0", "local-ts": ["10.1.0.0/24", "10.3.0.0/24"], "remote-ts": ["10.2.0.0/24"] },
      },
    },
  });
});

test("reads selectors with protocols and ports", () => {
  deepStrictEqual(parseRaw("list-sa event {net {local-ts=[10.2.0.0/24[tcp/5201] 10.3.0.0/24] remote-ts=[10.1.0.0/24[tcp]]}}"), {
    net: { "local-ts": ["10.2.0.0/24[tcp/5201]", "10.3.0.0/24"], "remote-ts": ["10.1.0.0/24[tcp]"] },
  });
});

test("refuses text that was cut off", () => {
  throws(() => parseRaw("list-sa event {site {uniqueid=1"), /cannot read/);
  throws(() => parseRaw("nothing here"), /not swanctl/);
});
