ALTER TABLE "RotationRun" ADD COLUMN "importId" TEXT;
