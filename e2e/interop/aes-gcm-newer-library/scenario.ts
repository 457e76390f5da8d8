import { withNewerGcmLibrary } from "../../lib/newer-gcm-library.ts";
import { aesGcmScenario } from "../aes-gcm.ts";
import type { Scenario } from "../scenario.ts";

export const scenario: Scenario = {
  ...aesGcmScenario(
    "aes-gcm-newer-library",
    "of the newer Debian's libIPSec_MB",
    ({ directory }) => withNewerGcmLibrary(directory),
    /; AES-GCM by libIPSec_MB 2\.\d+\.\d+ \(/,
  ),
  needsNewPeer: true,
};
