CREATE TYPE "RevocationReason" AS ENUM ('keyCompromise', 'cessationOfOperation');
ALTER TABLE "RevokedCertificate"
  ADD COLUMN "reason" "RevocationReason" NOT NULL DEFAULT 'keyCompromise',
  ADD COLUMN "name" TEXT;
