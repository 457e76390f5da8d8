"use client";

import Link from "next/link";
import type { ImportedCertificateView } from "../../../../server/keys/import-certificate.ts";
import { SelectField, TextAreaField, TextField } from "../../../_ui/field.tsx";
import { Status, type StatusName } from "../../../_ui/status.tsx";
import { AdvancedFields } from "../advanced-fields.tsx";
import { PeerFields, type PresetChoice, PresetFields, useFields } from "../link-fields.tsx";
import { splitList } from "./wizard-form.ts";

export interface SiteChoice {
  readonly id: string;
  readonly name: string;
  readonly networks: readonly string[];
  readonly gateway: StatusName;
}

export function SitesStep({ sites }: { sites: readonly SiteChoice[] }) {
  const { register, watch, setValue, getValues, getFieldState, error } = useFields();
  const kind = watch("peerKind");

  /** A name and the networks follow the choice until somebody writes their own. */
  function follow(end: "A" | "B", siteId: string) {
    const site = sites.find((candidate) => candidate.id === siteId);
    if (site) setValue(end === "A" ? "networksA" : "networksB", site.networks.join("\n"));
    const [nameA, nameB] = [getValues("siteAId"), getValues("siteBId")].map((id) => sites.find((candidate) => candidate.id === id)?.name);
    if (nameA !== undefined && nameB !== undefined && !getFieldState("name").isDirty) setValue("name", `${nameA} – ${nameB}`);
  }

  return (
    <>
      {sites.length < 2 ? (
        <p className="rounded-md bg-raised p-3 text-[13px] text-text-2">
          {sites.length === 0
            ? "There are no sites yet, and a link starts at one."
            : "There is only one site: its link can lead to a third-party peer, or to a site that you add first."}{" "}
          <Link className="link underline" href="/sites/new">
            New site
          </Link>
        </p>
      ) : null}
      <div className="grid gap-4 sm:grid-cols-2">
        <div className="space-y-2">
          <SelectField label="First site" error={error("siteAId")} {...register("siteAId", { onChange: (event) => follow("A", event.target.value) })}>
            <option value="">Choose a site…</option>
            {sites.map((site) => (
              <option key={site.id} value={site.id}>
                {site.name}
              </option>
            ))}
          </SelectField>
          <GatewayState sites={sites} id={watch("siteAId")} />
        </div>
        <div className="space-y-2">
          {kind === "site" ? (
            <>
              <SelectField label="Second site" error={error("siteBId")} {...register("siteBId", { onChange: (event) => follow("B", event.target.value) })}>
                <option value="">Choose a site…</option>
                {sites.map((site) => (
                  <option key={site.id} value={site.id}>
                    {site.name}
                  </option>
                ))}
              </SelectField>
              <GatewayState sites={sites} id={watch("siteBId")} />
            </>
          ) : (
            <TextField label="Peer name" placeholder="Partner firewall" error={error("peerName")} {...register("peerName")} />
          )}
        </div>
      </div>
      <fieldset>
        <legend className="field-label">The other end is</legend>
        <div className="flex flex-wrap gap-x-6 gap-y-2 text-[13.5px]">
          <label className="flex items-center gap-2">
            <input type="radio" value="site" {...register("peerKind")} /> one of our sites
          </label>
          <label className="flex items-center gap-2">
            <input type="radio" value="third-party" {...register("peerKind")} /> a third-party peer
          </label>
        </div>
      </fieldset>
      {kind === "third-party" ? <PeerFields /> : null}
      <TextField label="Link name" error={error("name")} {...register("name")} />
    </>
  );
}

function GatewayState({ sites, id }: { sites: readonly SiteChoice[]; id: string }) {
  const site = sites.find((candidate) => candidate.id === id);
  if (!site) return null;
  return (
    <p className="flex flex-wrap items-center gap-2 text-[12.5px] text-text-2">
      <Status name={site.gateway} />
      {site.gateway === "connected" ? null : (
        <span>
          The link waits until{" "}
          <Link className="link underline" href={`/sites/${site.id}`}>
            its gateway
          </Link>{" "}
          connects.
        </span>
      )}
    </p>
  );
}

export function NetworksStep({ nameA, nameB }: { nameA: string; nameB: string }) {
  const { register, error } = useFields();
  return (
    <>
      <p className="text-[13px] text-text-2">Traffic between these networks goes through the tunnel; anything else is left alone. One a line.</p>
      <div className="grid gap-4 sm:grid-cols-2">
        <TextAreaField label={`Networks at ${nameA}`} rows={4} spellCheck={false} error={error("networksA")} {...register("networksA")} />
        <TextAreaField label={`Networks at ${nameB}`} rows={4} spellCheck={false} error={error("networksB")} {...register("networksB")} />
      </div>
    </>
  );
}

export function SecurityStep({
  presets,
  certificates,
  thirdParty,
}: {
  presets: readonly PresetChoice[];
  certificates: readonly ImportedCertificateView[];
  thirdParty: boolean;
}) {
  const { register, watch, error } = useFields();
  return (
    <>
      <PresetFields presets={presets} />
      <fieldset>
        <legend className="field-label">The ends prove who they are with</legend>
        <div className="flex flex-wrap gap-x-6 gap-y-2 text-[13.5px]">
          <label className="flex items-center gap-2">
            <input type="radio" value="psk" {...register("method")} /> a pre-shared key
          </label>
          <label className="flex items-center gap-2">
            <input type="radio" value="certificate" {...register("method")} /> certificates
          </label>
        </div>
        <p className="hint">
          {watch("method") === "psk"
            ? "A key of 256 random bits is generated; it never leaves the server in clear but to the two gateways."
            : thirdParty
              ? "Our gateway shows a certificate that was imported under Keys; the peer shows one of an authority that both know."
              : "The console's own authority issues a certificate to each end."}
        </p>
      </fieldset>
      {thirdParty && watch("method") === "psk" ? (
        <TextField
          label="Pre-shared key"
          type="password"
          autoComplete="off"
          hint="The key the peer already has. Leave empty to generate one: it is shown once, after saving."
          error={error("secret")}
          {...register("secret")}
        />
      ) : null}
      {thirdParty && watch("method") === "certificate" ? <PeerCertificateFields certificates={certificates} /> : null}
      <AdvancedFields />
    </>
  );
}

/** What our end shows a third-party peer, and whom it believes. */
function PeerCertificateFields({ certificates }: { certificates: readonly ImportedCertificateView[] }) {
  const { register, watch, error } = useFields();
  const chosen = certificates.find((certificate) => certificate.id === watch("certificateId"));
  if (certificates.length === 0)
    return (
      <p className="rounded-md bg-raised p-3 text-[13px] text-text-2">
        There is no imported certificate yet.{" "}
        <Link className="link underline" href="/keys">
          Import one under Keys
        </Link>{" "}
        first, with its private key.
      </p>
    );
  return (
    <>
      <SelectField
        label="Our certificate"
        error={error("certificateId")}
        hint={chosen === undefined ? undefined : `Our end calls itself ${chosen.identity}, as this certificate does. The peer must expect that identity.`}
        {...register("certificateId")}
      >
        <option value="">Choose a certificate…</option>
        {certificates.map((certificate) => (
          <option key={certificate.id} value={certificate.id}>
            {certificate.name} ({certificate.keyName}, until {certificate.notAfter.slice(0, 10)})
          </option>
        ))}
      </SelectField>
      <TextAreaField
        label="Authorities of the peer"
        rows={4}
        spellCheck={false}
        placeholder="-----BEGIN CERTIFICATE-----"
        error={error("peerAuthorities")}
        hint={
          chosen?.hasRoot === false
            ? "PEM of the authority that signs the peer's certificate. The imported file held none."
            : "PEM of the authority that signs the peer's certificate. Empty: the authority that came with our certificate."
        }
        {...register("peerAuthorities")}
      />
    </>
  );
}

/** The answers in one view, before what each gateway gets. */
export function ReviewSummary({ nameA, nameB }: { nameA: string; nameB: string }) {
  const { getValues } = useFields();
  const form = getValues();
  return (
    <dl className="facts">
      <dt>Link</dt>
      <dd className="font-medium">{form.name}</dd>
      <dt>{nameA}</dt>
      <dd className="mono">{splitList(form.networksA).join(", ")}</dd>
      <dt>{nameB}</dt>
      <dd className="mono">{splitList(form.networksB).join(", ")}</dd>
      <dt>Authentication</dt>
      <dd>{form.method === "psk" ? "Pre-shared key" : "Certificates"}</dd>
      <dt>IKE</dt>
      <dd className="mono">{splitList(form.ikeProposals).join(", ")}</dd>
      <dt>{form.protocol === "ah" ? "AH" : "ESP"}</dt>
      <dd className="mono">{splitList(form.protocol === "ah" ? form.ahProposals : form.espProposals).join(", ")}</dd>
      {form.mode === "tunnel" ? null : (
        <>
          <dt>Mode</dt>
          <dd>{form.mode === "transport" ? "Transport" : "Transport, or tunnel where the peer wants it"}</dd>
        </>
      )}
      {form.inactivitySeconds === 0 ? null : (
        <>
          <dt>Closed</dt>
          <dd>after {form.inactivitySeconds} s without a packet</dd>
        </>
      )}
    </dl>
  );
}
