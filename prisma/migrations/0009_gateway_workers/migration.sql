ALTER TABLE "Gateway"
  ADD COLUMN "outboundWorkers" INTEGER NOT NULL DEFAULT 1,
  ADD COLUMN "inboundWorkers" INTEGER NOT NULL DEFAULT 1,
  ADD COLUMN "processors" INTEGER,
  ADD COLUMN "runningOutbound" INTEGER,
  ADD COLUMN "runningInbound" INTEGER,
  ADD COLUMN "settingsRefusal" TEXT;
