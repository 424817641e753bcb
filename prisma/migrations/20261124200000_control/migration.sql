-- Pausing, fair share, limits, preemption, API keys, audit; and illegal moves become impossible in the database.

ALTER TABLE "grid" ADD COLUMN "paused_at" TIMESTAMPTZ(6);

ALTER TABLE "worker"
  ADD COLUMN "slots" INTEGER NOT NULL DEFAULT 1,
  ADD COLUMN "draining" TEXT,
  ADD CONSTRAINT "worker_has_slots" CHECK ("slots" >= 1);

ALTER TABLE "attempt"
  ADD COLUMN "offered_priority" INTEGER,
  ADD COLUMN "owner" TEXT NOT NULL DEFAULT 'local',
  ADD COLUMN "grid_id" TEXT,
  ADD COLUMN "micro_batch" INTEGER,
  ADD CONSTRAINT "attempt_micro_batch_is_positive" CHECK ("micro_batch" >= 1),
  ADD CONSTRAINT "attempt_offered_priority_in_range" CHECK ("offered_priority" BETWEEN 1 AND 2097151);

ALTER TABLE "outbox"
  ADD COLUMN "hold" TEXT,
  ADD CONSTRAINT "outbox_hold_is_known" CHECK ("hold" IN ('line', 'user-limit', 'grid-limit'));

CREATE TABLE "api_key" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "owner" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "last_used_at" TIMESTAMPTZ(6),
    "revoked_at" TIMESTAMPTZ(6),

    CONSTRAINT "api_key_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "api_key_role_is_known" CHECK ("role" IN ('read', 'submit', 'admin')),
    CONSTRAINT "api_key_is_hashed" CHECK ("hash" ~ '^[0-9a-f]{64}$')
);
CREATE UNIQUE INDEX "api_key_hash_key" ON "api_key"("hash");

CREATE TABLE "audit_event" (
    "id" BIGSERIAL NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "actor" TEXT NOT NULL,
    "action" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "data" JSONB NOT NULL DEFAULT '{}',

    CONSTRAINT "audit_event_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "audit_event_actor_id_idx" ON "audit_event"("actor", "id");
CREATE INDEX "audit_event_subject_id_idx" ON "audit_event"("subject", "id");

-- Attempts that exist belong to the most urgent live grid of their run, else to its first.
UPDATE "attempt" a SET "owner" = g."owner", "grid_id" = g."id"
FROM (
  SELECT DISTINCT ON (gr."run_id") gr."run_id", g."id", g."owner"
  FROM "grid_run" gr JOIN "grid" g ON g."id" = gr."grid_id"
  ORDER BY gr."run_id", g."cancelled_at" IS NOT NULL, g."priority" DESC, g."seq"
) AS g WHERE g."run_id" = a."run_id";
-- What the queue holds was told this number; rows in the outbox were not told yet.
UPDATE "attempt" a SET "offered_priority" = a."queue_priority"
WHERE a."state" = 'waiting' AND NOT EXISTS (SELECT 1 FROM "outbox" o WHERE o."attempt_id" = a."id");

-- The planner reads each owner's line from its head.
DROP INDEX "attempt_line";
CREATE INDEX "attempt_line" ON "attempt" ("resource_class", "owner", "queue_priority", "created_at", "id") WHERE "state" = 'waiting';
-- Device time used, by when it ended.
CREATE INDEX "attempt_used" ON "attempt" ("ended_at") WHERE "leased_at" IS NOT NULL AND "state" = 'ended';

-- A pause wish is kept while the run is tried again after a crash: only the worker obeys it, or the end of the attempt.

-- The moves of libs/runs/src/transitions.ts, for any session whatever it runs.
CREATE FUNCTION "run_state_moves"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.state, NEW.state) IN (
    ('blocked', 'queued'), ('blocked', 'paused'), ('blocked', 'cancelled'), ('blocked', 'upstream-failed'),
    ('queued', 'running'), ('queued', 'paused'), ('queued', 'cancelled'),
    ('running', 'queued'), ('running', 'succeeded'), ('running', 'failed'), ('running', 'paused'), ('running', 'cancelled'),
    ('paused', 'queued'), ('paused', 'blocked'), ('paused', 'cancelled'), ('paused', 'upstream-failed'),
    ('failed', 'blocked'), ('cancelled', 'blocked'), ('upstream-failed', 'blocked')
  ) THEN RETURN NEW; END IF;
  RAISE EXCEPTION 'run % cannot go from % to %', left(NEW.id, 12), OLD.state, NEW.state USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
END $$;
CREATE TRIGGER "run_state_moves" BEFORE UPDATE OF "state" ON "run"
  FOR EACH ROW WHEN (OLD."state" IS DISTINCT FROM NEW."state") EXECUTE FUNCTION "run_state_moves"();

CREATE FUNCTION "run_fencing_rises"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the fencing token of run % only rises', left(NEW.id, 12) USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
END $$;
CREATE TRIGGER "run_fencing_rises" BEFORE UPDATE OF "fencing" ON "run"
  FOR EACH ROW WHEN (NEW."fencing" < OLD."fencing") EXECUTE FUNCTION "run_fencing_rises"();

CREATE FUNCTION "attempt_state_moves"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state <> 'ended' AND (OLD.state = NEW.state OR (OLD.state, NEW.state) IN (
    ('waiting', 'leased'), ('waiting', 'ended'), ('leased', 'running'), ('leased', 'ended'), ('running', 'ended')
  )) THEN RETURN NEW; END IF;
  RAISE EXCEPTION 'attempt % cannot go from % to %', NEW.id, OLD.state, NEW.state USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
END $$;
-- What ended stays as it is, every column of it.
CREATE TRIGGER "attempt_state_moves" BEFORE UPDATE ON "attempt"
  FOR EACH ROW WHEN (OLD."state" = 'ended' OR OLD."state" IS DISTINCT FROM NEW."state") EXECUTE FUNCTION "attempt_state_moves"();

-- At the commit: a queued run has one attempt that waits, a running one has one that is held, any other has none that lives.
CREATE FUNCTION "run_fits_its_attempt"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  subject text := CASE TG_TABLE_NAME WHEN 'run' THEN to_jsonb(NEW)->>'id' ELSE to_jsonb(NEW)->>'run_id' END;
  run_state text;
  attempt_state text;
BEGIN
  SELECT r.state, a.state INTO run_state, attempt_state
  FROM run r LEFT JOIN attempt a ON a.run_id = r.id AND a.state <> 'ended' WHERE r.id = subject;
  IF run_state IS NULL OR (CASE run_state
    WHEN 'queued' THEN attempt_state = 'waiting'
    WHEN 'running' THEN attempt_state IN ('leased', 'running')
    ELSE attempt_state IS NULL END) THEN RETURN NULL; END IF;
  RAISE EXCEPTION 'run % is % and its attempt is %', left(subject, 12), run_state, COALESCE(attempt_state, 'none')
    USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
END $$;
CREATE CONSTRAINT TRIGGER "run_fits_its_attempt" AFTER UPDATE OF "state" ON "run" DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (OLD."state" IS DISTINCT FROM NEW."state") EXECUTE FUNCTION "run_fits_its_attempt"();
CREATE CONSTRAINT TRIGGER "run_fits_its_new_attempt" AFTER INSERT ON "attempt" DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION "run_fits_its_attempt"();
CREATE CONSTRAINT TRIGGER "run_fits_its_moved_attempt" AFTER UPDATE OF "state" ON "attempt" DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (OLD."state" IS DISTINCT FROM NEW."state") EXECUTE FUNCTION "run_fits_its_attempt"();

CREATE FUNCTION "only_appended"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'table % is append-only', TG_TABLE_NAME USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
END $$;
CREATE TRIGGER "event_only_appended" BEFORE UPDATE ON "event" FOR EACH ROW EXECUTE FUNCTION "only_appended"();
CREATE TRIGGER "audit_event_only_appended" BEFORE UPDATE OR DELETE ON "audit_event" FOR EACH ROW EXECUTE FUNCTION "only_appended"();
