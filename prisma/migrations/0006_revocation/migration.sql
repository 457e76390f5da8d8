ALTER TABLE "Authority" ADD COLUMN "revocationListPem" TEXT, ADD COLUMN "revocationListAt" TIMESTAMPTZ(3);

CREATE TABLE "RevokedCertificate" (
    "serial" TEXT NOT NULL,
    "authorityId" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "revokedAt" TIMESTAMPTZ(3) NOT NULL,
    "notAfter" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "RevokedCertificate_pkey" PRIMARY KEY ("serial")
);

CREATE INDEX "RevokedCertificate_authorityId_notAfter_idx" ON "RevokedCertificate"("authorityId", "notAfter");

ALTER TABLE "RevokedCertificate" ADD CONSTRAINT "RevokedCertificate_authorityId_fkey" FOREIGN KEY ("authorityId") REFERENCES "Authority"("id") ON DELETE CASCADE ON UPDATE CASCADE;
