-- AlterEnum
ALTER TYPE "CredentialState" ADD VALUE 'withdrawn' BEFORE 'retired';

-- CreateEnum
CREATE TYPE "RunDirection" AS ENUM ('forward', 'rollingBack');

-- AlterTable
ALTER TABLE "RotationSchedule" ADD COLUMN     "lastDueAt" TIMESTAMPTZ(3),
ADD COLUMN     "problem" TEXT;

-- What the newest run told until now.
UPDATE "RotationSchedule" SET "lastDueAt" =
  (SELECT max("createdAt") FROM "RotationRun" WHERE "scheduleId" = "RotationSchedule"."id" AND NOT "dryRun");

-- AlterTable
ALTER TABLE "RotationRun" ADD COLUMN     "direction" "RunDirection" NOT NULL DEFAULT 'forward',
ADD COLUMN     "heldUntil" TIMESTAMPTZ(3),
ADD COLUMN     "holder" TEXT,
ADD COLUMN     "newCredentials" TEXT[] DEFAULT ARRAY[]::TEXT[],
ADD COLUMN     "nextTryAt" TIMESTAMPTZ(3),
ADD COLUMN     "oldCredentials" TEXT[] DEFAULT ARRAY[]::TEXT[],
ADD COLUMN     "reason" TEXT,
ADD COLUMN     "requestedById" TEXT;

-- CreateIndex
CREATE INDEX "RotationRun_state_idx" ON "RotationRun"("state");
