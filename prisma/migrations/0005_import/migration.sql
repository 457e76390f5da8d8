ALTER TABLE "GatewayCommand" ADD COLUMN "traceFile" JSONB;
