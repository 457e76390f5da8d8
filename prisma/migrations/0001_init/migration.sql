-- CreateEnum
CREATE TYPE "Role" AS ENUM ('owner', 'operator', 'viewer');

-- CreateEnum
CREATE TYPE "TunnelState" AS ENUM ('disabled', 'negotiating', 'up', 'degraded', 'down');

-- CreateEnum
CREATE TYPE "PushOutcome" AS ENUM ('applied', 'refused');

-- CreateEnum
CREATE TYPE "CredentialKind" AS ENUM ('psk', 'certificate');

-- CreateEnum
CREATE TYPE "CredentialState" AS ENUM ('staged', 'active', 'retiring', 'retired');

-- CreateEnum
CREATE TYPE "AuthorityPurpose" AS ENUM ('hub', 'ipsec');

-- CreateEnum
CREATE TYPE "RunState" AS ENUM ('waiting', 'running', 'succeeded', 'failed', 'skipped');

-- CreateEnum
CREATE TYPE "CommandState" AS ENUM ('queued', 'sent', 'done', 'failed');

-- CreateEnum
CREATE TYPE "TraceDirection" AS ENUM ('sent', 'received', 'local');

-- CreateTable
CREATE TABLE "User" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "email" TEXT NOT NULL,
    "emailVerified" BOOLEAN NOT NULL DEFAULT false,
    "image" TEXT,
    "role" "Role" NOT NULL DEFAULT 'viewer',
    "disabled" BOOLEAN NOT NULL DEFAULT false,
    "twoFactorEnabled" BOOLEAN NOT NULL DEFAULT false,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "User_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Session" (
    "id" TEXT NOT NULL,
    "token" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "ipAddress" TEXT,
    "userAgent" TEXT,
    "expiresAt" TIMESTAMPTZ(3) NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "Session_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Account" (
    "id" TEXT NOT NULL,
    "accountId" TEXT NOT NULL,
    "providerId" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "accessToken" TEXT,
    "refreshToken" TEXT,
    "idToken" TEXT,
    "accessTokenExpiresAt" TIMESTAMPTZ(3),
    "refreshTokenExpiresAt" TIMESTAMPTZ(3),
    "scope" TEXT,
    "password" TEXT,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "Account_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Verification" (
    "id" TEXT NOT NULL,
    "identifier" TEXT NOT NULL,
    "value" TEXT NOT NULL,
    "expiresAt" TIMESTAMPTZ(3) NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "Verification_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "TwoFactor" (
    "id" TEXT NOT NULL,
    "secret" TEXT NOT NULL,
    "backupCodes" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "verified" BOOLEAN DEFAULT true,
    "failedVerificationCount" INTEGER DEFAULT 0,
    "lockedUntil" TIMESTAMPTZ(3),

    CONSTRAINT "TwoFactor_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "RateLimit" (
    "id" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "count" INTEGER NOT NULL,
    "lastRequest" BIGINT NOT NULL,

    CONSTRAINT "RateLimit_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Setting" (
    "key" TEXT NOT NULL,
    "value" JSONB NOT NULL,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "Setting_pkey" PRIMARY KEY ("key")
);

-- CreateTable
CREATE TABLE "Secret" (
    "id" TEXT NOT NULL,
    "masterKeyId" TEXT NOT NULL,
    "wrappedKey" BYTEA NOT NULL,
    "wrapNonce" BYTEA NOT NULL,
    "nonce" BYTEA NOT NULL,
    "ciphertext" BYTEA NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "Secret_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Authority" (
    "id" TEXT NOT NULL,
    "purpose" "AuthorityPurpose" NOT NULL,
    "name" TEXT NOT NULL,
    "certificatePem" TEXT NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "notAfter" TIMESTAMPTZ(3) NOT NULL,
    "crlNumber" INTEGER NOT NULL DEFAULT 0,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "privateKeyId" TEXT NOT NULL,

    CONSTRAINT "Authority_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Site" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "address" TEXT,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "Site_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "SiteNetwork" (
    "id" TEXT NOT NULL,
    "siteId" TEXT NOT NULL,
    "prefix" TEXT NOT NULL,
    "position" INTEGER NOT NULL,

    CONSTRAINT "SiteNetwork_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Gateway" (
    "id" TEXT NOT NULL,
    "siteId" TEXT NOT NULL,
    "hostname" TEXT,
    "agentVersion" TEXT,
    "enrolledAt" TIMESTAMPTZ(3),
    "revokedAt" TIMESTAMPTZ(3),
    "hubId" TEXT,
    "connectedAt" TIMESTAMPTZ(3),
    "lastHeardAt" TIMESTAMPTZ(3),
    "remoteAddress" TEXT,
    "startedAt" TIMESTAMPTZ(3),
    "plane" TEXT,
    "planeReason" TEXT,
    "memoryBytes" BIGINT,
    "ikePort" INTEGER NOT NULL DEFAULT 500,
    "natPort" INTEGER NOT NULL DEFAULT 4500,
    "tunName" TEXT NOT NULL DEFAULT 'culvert0',
    "tunMtu" INTEGER NOT NULL DEFAULT 0,
    "desiredRevision" INTEGER NOT NULL DEFAULT 1,
    "appliedRevision" INTEGER NOT NULL DEFAULT 0,

    CONSTRAINT "Gateway_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "GatewayCertificate" (
    "id" TEXT NOT NULL,
    "gatewayId" TEXT NOT NULL,
    "serial" TEXT NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "certificatePem" TEXT NOT NULL,
    "notBefore" TIMESTAMPTZ(3) NOT NULL,
    "notAfter" TIMESTAMPTZ(3) NOT NULL,
    "revokedAt" TIMESTAMPTZ(3),
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "GatewayCertificate_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "EnrolmentToken" (
    "id" TEXT NOT NULL,
    "gatewayId" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "createdBy" TEXT NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expiresAt" TIMESTAMPTZ(3) NOT NULL,
    "usedAt" TIMESTAMPTZ(3),

    CONSTRAINT "EnrolmentToken_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Link" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "enabled" BOOLEAN NOT NULL DEFAULT true,
    "siteAId" TEXT NOT NULL,
    "siteBId" TEXT,
    "version" INTEGER NOT NULL DEFAULT 1,
    "config" JSONB NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "Link_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "LinkVersion" (
    "linkId" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "config" JSONB NOT NULL,
    "summary" TEXT NOT NULL,
    "actorName" TEXT NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "LinkVersion_pkey" PRIMARY KEY ("linkId", "version")
);

-- CreateTable
CREATE TABLE "Credential" (
    "id" TEXT NOT NULL,
    "linkId" TEXT NOT NULL,
    "kind" "CredentialKind" NOT NULL,
    "end" TEXT,
    "state" "CredentialState" NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "certificatePem" TEXT,
    "notAfter" TIMESTAMPTZ(3),
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "activatedAt" TIMESTAMPTZ(3),
    "retiredAt" TIMESTAMPTZ(3),
    "secretId" TEXT,

    CONSTRAINT "Credential_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "LinkState" (
    "linkId" TEXT NOT NULL,
    "gatewayId" TEXT NOT NULL,
    "requiredRevision" INTEGER NOT NULL DEFAULT 0,
    "verdictRevision" INTEGER NOT NULL DEFAULT 0,
    "verdict" "PushOutcome",
    "verdictReason" TEXT,
    "verdictAt" TIMESTAMPTZ(3),
    "state" "TunnelState",
    "since" TIMESTAMPTZ(3),
    "reportedAt" TIMESTAMPTZ(3),
    "observed" JSONB,

    CONSTRAINT "LinkState_pkey" PRIMARY KEY ("linkId", "gatewayId")
);

-- CreateTable
CREATE TABLE "CounterSample" (
    "linkId" TEXT NOT NULL,
    "gatewayId" TEXT NOT NULL,
    "resolutionSeconds" INTEGER NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "bytesIn" BIGINT NOT NULL DEFAULT 0,
    "bytesOut" BIGINT NOT NULL DEFAULT 0,
    "packetsIn" BIGINT NOT NULL DEFAULT 0,
    "packetsOut" BIGINT NOT NULL DEFAULT 0,
    "drops" BIGINT NOT NULL DEFAULT 0,
    "roundTripMs" DOUBLE PRECISION,
    "probesSent" INTEGER NOT NULL DEFAULT 0,
    "probesAnswered" INTEGER NOT NULL DEFAULT 0,

    CONSTRAINT "CounterSample_pkey" PRIMARY KEY ("linkId", "gatewayId", "resolutionSeconds", "at")
);

-- CreateTable
CREATE TABLE "TraceEntry" (
    "id" BIGSERIAL NOT NULL,
    "gatewayId" TEXT NOT NULL,
    "linkId" TEXT,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "sequence" INTEGER NOT NULL,
    "direction" "TraceDirection" NOT NULL,
    "exchange" TEXT NOT NULL,
    "messageId" BIGINT,
    "summary" TEXT NOT NULL,
    "detail" JSONB NOT NULL,

    CONSTRAINT "TraceEntry_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "GatewayCommand" (
    "id" TEXT NOT NULL,
    "gatewayId" TEXT NOT NULL,
    "linkId" TEXT,
    "command" JSONB NOT NULL,
    "state" "CommandState" NOT NULL DEFAULT 'queued',
    "requestedBy" TEXT NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "sentAt" TIMESTAMPTZ(3),
    "finishedAt" TIMESTAMPTZ(3),
    "message" TEXT,
    "probe" JSONB,

    CONSTRAINT "GatewayCommand_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "RotationSchedule" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "kind" "CredentialKind" NOT NULL,
    "linkId" TEXT,
    "cron" TEXT NOT NULL,
    "timeZone" TEXT NOT NULL,
    "paused" BOOLEAN NOT NULL DEFAULT false,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "RotationSchedule_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "RotationRun" (
    "id" TEXT NOT NULL,
    "scheduleId" TEXT,
    "linkId" TEXT,
    "linkName" TEXT NOT NULL,
    "kind" "CredentialKind" NOT NULL,
    "dryRun" BOOLEAN NOT NULL DEFAULT false,
    "state" "RunState" NOT NULL DEFAULT 'waiting',
    "sentence" TEXT NOT NULL DEFAULT '',
    "requestedBy" TEXT NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "startedAt" TIMESTAMPTZ(3),
    "finishedAt" TIMESTAMPTZ(3),
    "oldFingerprint" TEXT,
    "newFingerprint" TEXT,

    CONSTRAINT "RotationRun_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "RotationStep" (
    "runId" TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    "name" TEXT NOT NULL,
    "state" "RunState" NOT NULL,
    "message" TEXT NOT NULL DEFAULT '',
    "startedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "finishedAt" TIMESTAMPTZ(3),

    CONSTRAINT "RotationStep_pkey" PRIMARY KEY ("runId", "position")
);

-- CreateTable
CREATE TABLE "Event" (
    "id" BIGSERIAL NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "resource" TEXT NOT NULL,
    "resourceId" TEXT,
    "resourceName" TEXT,
    "verb" TEXT NOT NULL,
    "actorId" TEXT,
    "actorName" TEXT NOT NULL,
    "summary" TEXT NOT NULL,
    "before" JSONB,
    "after" JSONB,

    CONSTRAINT "Event_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "User_email_key" ON "User"("email");

-- CreateIndex
CREATE UNIQUE INDEX "Session_token_key" ON "Session"("token");

-- CreateIndex
CREATE INDEX "Session_userId_idx" ON "Session"("userId");

-- CreateIndex
CREATE INDEX "Account_userId_idx" ON "Account"("userId");

-- CreateIndex
CREATE INDEX "Verification_identifier_idx" ON "Verification"("identifier");

-- CreateIndex
CREATE INDEX "TwoFactor_secret_idx" ON "TwoFactor"("secret");

-- CreateIndex
CREATE INDEX "TwoFactor_userId_idx" ON "TwoFactor"("userId");

-- CreateIndex
CREATE UNIQUE INDEX "RateLimit_key_key" ON "RateLimit"("key");

-- CreateIndex
CREATE UNIQUE INDEX "Authority_fingerprint_key" ON "Authority"("fingerprint");

-- CreateIndex
CREATE INDEX "Authority_purpose_createdAt_idx" ON "Authority"("purpose", "createdAt");

-- CreateIndex
CREATE UNIQUE INDEX "Site_name_key" ON "Site"("name");

-- CreateIndex
CREATE UNIQUE INDEX "SiteNetwork_siteId_prefix_key" ON "SiteNetwork"("siteId", "prefix");

-- CreateIndex
CREATE UNIQUE INDEX "Gateway_siteId_key" ON "Gateway"("siteId");

-- CreateIndex
CREATE UNIQUE INDEX "GatewayCertificate_serial_key" ON "GatewayCertificate"("serial");

-- CreateIndex
CREATE UNIQUE INDEX "GatewayCertificate_fingerprint_key" ON "GatewayCertificate"("fingerprint");

-- CreateIndex
CREATE INDEX "GatewayCertificate_gatewayId_createdAt_idx" ON "GatewayCertificate"("gatewayId", "createdAt");

-- CreateIndex
CREATE UNIQUE INDEX "EnrolmentToken_hash_key" ON "EnrolmentToken"("hash");

-- CreateIndex
CREATE INDEX "EnrolmentToken_gatewayId_idx" ON "EnrolmentToken"("gatewayId");

-- CreateIndex
CREATE UNIQUE INDEX "Link_name_key" ON "Link"("name");

-- CreateIndex
CREATE INDEX "Link_siteAId_idx" ON "Link"("siteAId");

-- CreateIndex
CREATE INDEX "Link_siteBId_idx" ON "Link"("siteBId");

-- CreateIndex
CREATE INDEX "Credential_linkId_state_idx" ON "Credential"("linkId", "state");

-- CreateIndex
CREATE INDEX "LinkState_gatewayId_idx" ON "LinkState"("gatewayId");

-- CreateIndex
CREATE INDEX "CounterSample_resolutionSeconds_at_idx" ON "CounterSample"("resolutionSeconds", "at");

-- CreateIndex
CREATE INDEX "TraceEntry_linkId_at_idx" ON "TraceEntry"("linkId", "at");

-- CreateIndex
CREATE INDEX "TraceEntry_gatewayId_at_idx" ON "TraceEntry"("gatewayId", "at");

-- CreateIndex
CREATE INDEX "GatewayCommand_gatewayId_state_createdAt_idx" ON "GatewayCommand"("gatewayId", "state", "createdAt");

-- CreateIndex
CREATE UNIQUE INDEX "RotationSchedule_name_key" ON "RotationSchedule"("name");

-- CreateIndex
CREATE INDEX "RotationRun_createdAt_idx" ON "RotationRun"("createdAt");

-- CreateIndex
CREATE INDEX "Event_at_idx" ON "Event"("at");

-- CreateIndex
CREATE INDEX "Event_resource_resourceId_idx" ON "Event"("resource", "resourceId");

-- AddForeignKey
ALTER TABLE "Session" ADD CONSTRAINT "Session_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Account" ADD CONSTRAINT "Account_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "TwoFactor" ADD CONSTRAINT "TwoFactor_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Authority" ADD CONSTRAINT "Authority_privateKeyId_fkey" FOREIGN KEY ("privateKeyId") REFERENCES "Secret"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "SiteNetwork" ADD CONSTRAINT "SiteNetwork_siteId_fkey" FOREIGN KEY ("siteId") REFERENCES "Site"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Gateway" ADD CONSTRAINT "Gateway_siteId_fkey" FOREIGN KEY ("siteId") REFERENCES "Site"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "GatewayCertificate" ADD CONSTRAINT "GatewayCertificate_gatewayId_fkey" FOREIGN KEY ("gatewayId") REFERENCES "Gateway"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "EnrolmentToken" ADD CONSTRAINT "EnrolmentToken_gatewayId_fkey" FOREIGN KEY ("gatewayId") REFERENCES "Gateway"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Link" ADD CONSTRAINT "Link_siteAId_fkey" FOREIGN KEY ("siteAId") REFERENCES "Site"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Link" ADD CONSTRAINT "Link_siteBId_fkey" FOREIGN KEY ("siteBId") REFERENCES "Site"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "LinkVersion" ADD CONSTRAINT "LinkVersion_linkId_fkey" FOREIGN KEY ("linkId") REFERENCES "Link"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Credential" ADD CONSTRAINT "Credential_linkId_fkey" FOREIGN KEY ("linkId") REFERENCES "Link"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Credential" ADD CONSTRAINT "Credential_secretId_fkey" FOREIGN KEY ("secretId") REFERENCES "Secret"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "LinkState" ADD CONSTRAINT "LinkState_linkId_fkey" FOREIGN KEY ("linkId") REFERENCES "Link"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "LinkState" ADD CONSTRAINT "LinkState_gatewayId_fkey" FOREIGN KEY ("gatewayId") REFERENCES "Gateway"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "CounterSample" ADD CONSTRAINT "CounterSample_linkId_fkey" FOREIGN KEY ("linkId") REFERENCES "Link"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "CounterSample" ADD CONSTRAINT "CounterSample_gatewayId_fkey" FOREIGN KEY ("gatewayId") REFERENCES "Gateway"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "TraceEntry" ADD CONSTRAINT "TraceEntry_gatewayId_fkey" FOREIGN KEY ("gatewayId") REFERENCES "Gateway"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "TraceEntry" ADD CONSTRAINT "TraceEntry_linkId_fkey" FOREIGN KEY ("linkId") REFERENCES "Link"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "GatewayCommand" ADD CONSTRAINT "GatewayCommand_gatewayId_fkey" FOREIGN KEY ("gatewayId") REFERENCES "Gateway"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "GatewayCommand" ADD CONSTRAINT "GatewayCommand_linkId_fkey" FOREIGN KEY ("linkId") REFERENCES "Link"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "RotationSchedule" ADD CONSTRAINT "RotationSchedule_linkId_fkey" FOREIGN KEY ("linkId") REFERENCES "Link"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "RotationRun" ADD CONSTRAINT "RotationRun_scheduleId_fkey" FOREIGN KEY ("scheduleId") REFERENCES "RotationSchedule"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "RotationRun" ADD CONSTRAINT "RotationRun_linkId_fkey" FOREIGN KEY ("linkId") REFERENCES "Link"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "RotationStep" ADD CONSTRAINT "RotationStep_runId_fkey" FOREIGN KEY ("runId") REFERENCES "RotationRun"("id") ON DELETE CASCADE ON UPDATE CASCADE;
