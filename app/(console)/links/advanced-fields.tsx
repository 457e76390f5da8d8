"use client";

import { ChevronRight } from "lucide-react";
import { type ReactNode, useState } from "react";
import { CheckField, SelectField, TextAreaField, TextField } from "../../_ui/field.tsx";
import { useFields } from "./link-fields.tsx";
import { offersEsn, withEsn } from "./new/wizard-form.ts";

const shown = [
  "ikeProposals",
  "espProposals",
  "ikeRekeySeconds",
  "espRekeySeconds",
  "livenessSeconds",
  "livenessAction",
  "bringUp",
  "childless",
  "revocation",
  "replayWindowPackets",
  "encapsulation",
  "ahProposals",
  "mode",
  "inactivitySeconds",
] as const;

/** What most links leave as it is. Open from the start when asked for, or when something in it was refused. */
export function AdvancedFields({ open = false }: { open?: boolean }) {
  const { watch, formState } = useFields();
  const [isOpen, setOpen] = useState(open);
  const isWrong = shown.some((name) => Object.hasOwn(formState.errors, name));
  // It stays open when the mistake is put right: somebody is at work in it.
  if (isWrong && !isOpen) setOpen(true);
  return (
    <details className="group rounded-md border border-line" open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary className="flex items-center gap-2 px-3 py-2 text-[13.5px] font-medium">
        <ChevronRight aria-hidden className="size-4 transition-transform group-open:rotate-90" /> Advanced
      </summary>
      <div className="space-y-5 border-t border-line p-3">
        <Part title="What the tunnel carries, and how it is protected">
          <ProtocolFields />
        </Part>
        <Part title="Algorithms and lifetimes">
          <AlgorithmFields />
        </Part>
        <Part title="When the tunnel is there">
          <PresenceFields />
        </Part>
        <Part title="Packets">
          <PacketFields />
        </Part>
        {watch("method") === "certificate" ? (
          <Part title="Certificates">
            <RevocationField />
          </Part>
        ) : null}
      </div>
    </details>
  );
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <fieldset>
      <legend className="mb-2 text-[13px] font-medium text-text-2">{title}</legend>
      <div className="grid items-start gap-4 sm:grid-cols-2">{children}</div>
    </fieldset>
  );
}

function ProtocolFields() {
  const { register, watch, error } = useFields();
  return (
    <>
      <SelectField label="Protocol" hint={protocolHints[watch("protocol")]} {...register("protocol")}>
        <option value="esp">ESP: encrypt and authenticate</option>
        <option value="ah">AH: authenticate only</option>
      </SelectField>
      <SelectField label="Mode" error={error("mode")} hint={modeHints[watch("mode")]} {...register("mode")}>
        <option value="tunnel">Tunnel: networks</option>
        <option value="transport">Transport: gateways only</option>
        <option value="preferTransport">Transport, else tunnel</option>
      </SelectField>
    </>
  );
}

const protocolHints = {
  esp: "What nearly every link wants.",
  ah: "Every packet is authenticated and none is encrypted: whoever is in between reads it. It cannot pass a NAT, and firewalls must let IP protocol 51 through.",
} as const;

const transportHint =
  "Needs kernels with ESP at both gateways (Data plane “kernel” on the site's page). The networks are then the gateways' own addresses, such as 192.0.2.1/32.";

const modeHints = {
  tunnel: "Packets between the networks of the two sites.",
  transport: transportHint,
  preferTransport: `Tunnel mode with a peer that does not agree. ${transportHint}`,
} as const;

function AlgorithmFields() {
  const { register, watch, error, setValue } = useFields();
  const isAh = watch("protocol") === "ah";
  const own = { onChange: () => setValue("preset", "custom") };
  return (
    <>
      <TextAreaField
        label="IKE proposals"
        rows={6}
        spellCheck={false}
        error={error("ikeProposals")}
        hint="One a line, the first is preferred."
        {...register("ikeProposals", own)}
      />
      {isAh ? (
        <TextAreaField
          key="ah"
          label="AH proposals"
          rows={6}
          spellCheck={false}
          error={error("ahProposals")}
          hint="sha256, sha384 or sha512, with a key exchange group for perfect forward secrecy."
          {...register("ahProposals")}
        />
      ) : (
        <TextAreaField
          key="esp"
          label="ESP proposals"
          rows={6}
          spellCheck={false}
          error={error("espProposals")}
          hint="A key exchange group here is perfect forward secrecy."
          {...register("espProposals", own)}
        />
      )}
      <TextField
        label="IKE rekey after, seconds"
        type="number"
        error={error("ikeRekeySeconds")}
        {...register("ikeRekeySeconds", { valueAsNumber: true, ...own })}
      />
      <TextField
        label="Child SA rekey after, seconds"
        type="number"
        error={error("espRekeySeconds")}
        {...register("espRekeySeconds", { valueAsNumber: true, ...own })}
      />
    </>
  );
}

function PresenceFields() {
  const { register, watch, error } = useFields();
  return (
    <>
      <SelectField label="Bring up" error={error("bringUp")} hint={bringUpHints[watch("bringUp")]} {...register("bringUp")}>
        <option value="atOnce">At once, and keep it up</option>
        <option value="onDemand">On demand</option>
      </SelectField>
      <CheckField
        label="Childless: authenticate first"
        hint="The Child SAs are made afterwards, where the peer allows it (RFC 6023)."
        {...register("childless")}
      />
      <TextField
        label="Liveness check after, seconds"
        type="number"
        error={error("livenessSeconds")}
        hint="So long without a packet, and the peer is asked for a sign. 0: never."
        {...register("livenessSeconds", { valueAsNumber: true })}
      />
      <SelectField label="When the peer is silent" error={error("livenessAction")} hint={silenceHints[watch("livenessAction")]} {...register("livenessAction")}>
        <option value="restart">Begin anew</option>
        <option value="trap">Wait for the next packet</option>
        <option value="clear">Wait for the peer</option>
      </SelectField>
      <TextField
        label="Close when unused, seconds"
        type="number"
        error={error("inactivitySeconds")}
        hint="Of a link on demand: so long without a packet either way, and it is closed until the next. Its round trips are then not measured. 0: never."
        {...register("inactivitySeconds", { valueAsNumber: true })}
      />
    </>
  );
}

const bringUpHints = {
  atOnce: "The tunnel is there before anybody needs it.",
  onDemand: "The first packet between the networks brings it up. That packet may be lost.",
} as const;

const silenceHints = {
  restart: "The tunnel is negotiated anew until the peer answers.",
  trap: "Nothing is sent until a packet wants through, or the peer calls.",
  clear: "Nothing is sent until the peer calls or somebody restarts the link.",
} as const;

function PacketFields() {
  const { register, watch, error, setValue } = useFields();
  const isAh = watch("protocol") === "ah";
  const field = isAh ? "ahProposals" : "espProposals";
  const proposals = watch(field);
  function offerEsn(isOffered: boolean) {
    setValue(field, withEsn(proposals, isOffered), { shouldDirty: true, shouldValidate: true });
    if (!isAh) setValue("preset", "custom");
  }
  return (
    <>
      <TextField
        label="Replay window, packets"
        type="number"
        error={error("replayWindowPackets")}
        hint="How far packets may overtake each other: 64 to 4,096."
        {...register("replayWindowPackets", { valueAsNumber: true })}
      />
      <SelectField
        label="UDP encapsulation"
        error={error("encapsulation")}
        hint={isAh ? "AH is never in UDP." : "Behind a NAT packets are always in UDP."}
        {...register("encapsulation")}
      >
        <option value="auto">Where it is faster</option>
        <option value="udp">Always</option>
        <option value="plain">Only behind a NAT</option>
      </SelectField>
      <CheckField
        label="Extended sequence numbers"
        hint={`64 bits instead of 32, for links of many gigabits a second. Written into the ${isAh ? "AH" : "ESP"} proposals as esn.`}
        checked={offersEsn(proposals)}
        onChange={(event) => offerEsn(event.target.checked)}
      />
    </>
  );
}

function RevocationField() {
  const { register, watch, error } = useFields();
  return (
    <SelectField label="Revoked certificates" error={error("revocation")} hint={revocationHints[watch("revocation")]} {...register("revocation")}>
      <option value="soft">Refuse a revoked one</option>
      <option value="strict">Refuse also when it cannot be found out</option>
      <option value="off">Do not look</option>
    </SelectField>
  );
}

const revocationHints = {
  soft: "When neither a list nor a responder can be reached, the peer is accepted.",
  strict: "When neither a list nor a responder can be reached, the peer is refused: an outage there takes the tunnel down at its next authentication.",
  off: "A revoked certificate is accepted until it expires.",
} as const;
