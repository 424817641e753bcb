-- Lines are read by class, owner and grid; an attempt that no grid asked for belongs to the grid without a name.
ALTER TABLE "attempt" DISABLE TRIGGER "attempt_state_moves";
UPDATE "attempt" SET "grid_id" = '' WHERE "grid_id" IS NULL;
ALTER TABLE "attempt" ENABLE TRIGGER "attempt_state_moves";
ALTER TABLE "attempt" ALTER COLUMN "grid_id" SET DEFAULT '', ALTER COLUMN "grid_id" SET NOT NULL;
DROP INDEX "attempt_line";
CREATE INDEX "attempt_line" ON "attempt" ("resource_class", "owner", "grid_id", "queue_priority", "created_at", "id") WHERE "state" = 'waiting';
-- What the queue holds.
CREATE INDEX "attempt_offered" ON "attempt" ("resource_class", "offered_priority") WHERE "state" = 'waiting' AND "offered_priority" IS NOT NULL;
-- Rows that the scheduler has not looked at yet.
CREATE INDEX "outbox_new" ON "outbox" ("not_before") WHERE "hold" IS NULL;
