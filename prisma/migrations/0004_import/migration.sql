CREATE TABLE "ImportedCertificate" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "identity" TEXT NOT NULL,
    "keyName" TEXT NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "chainPem" TEXT NOT NULL,
    "rootsPem" TEXT NOT NULL,
    "notAfter" TIMESTAMPTZ(3) NOT NULL,
    "importedBy" TEXT NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "secretId" TEXT NOT NULL,

    CONSTRAINT "ImportedCertificate_pkey" PRIMARY KEY ("id")
);

CREATE UNIQUE INDEX "ImportedCertificate_name_key" ON "ImportedCertificate"("name");
CREATE UNIQUE INDEX "ImportedCertificate_fingerprint_key" ON "ImportedCertificate"("fingerprint");

ALTER TABLE "Credential" ADD COLUMN "trustedPem" TEXT, ADD COLUMN "importId" TEXT;

ALTER TABLE "ImportedCertificate" ADD CONSTRAINT "ImportedCertificate_secretId_fkey" FOREIGN KEY ("secretId") REFERENCES "Secret"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "Credential" ADD CONSTRAINT "Credential_importId_fkey" FOREIGN KEY ("importId") REFERENCES "ImportedCertificate"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
