-- A rotation that was under way before its row told which keys it is about cannot be brought to an end: it could only guess, and say that a
-- key was replaced that was not. Both keys stay accepted at both ends, so nobody is locked out.
UPDATE "RotationRun" SET "state" = 'failed', "finishedAt" = now(),
  "sentence" = 'Culvert was updated while this rotation was under way. Both keys stay accepted. Rotate again.'
  WHERE "state" = 'running' AND NOT "dryRun" AND "newCredentials" = ARRAY[]::TEXT[]
  AND EXISTS (SELECT 1 FROM "RotationStep" step WHERE step."runId" = "RotationRun"."id");
