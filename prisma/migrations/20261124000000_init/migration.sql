-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateTable
CREATE TABLE "dataset" (
    "name" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "root" TEXT NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "dataset_pkey" PRIMARY KEY ("name")
);

-- CreateTable
CREATE TABLE "grid" (
    "id" TEXT NOT NULL,
    "seq" BIGSERIAL NOT NULL,
    "name" TEXT NOT NULL,
    "owner" TEXT NOT NULL,
    "request" JSONB NOT NULL,
    "warnings" JSONB NOT NULL,
    "priority" INTEGER NOT NULL,
    "cancelled_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "grid_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "idempotency_key" (
    "owner" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "request_hash" TEXT NOT NULL,
    "grid_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "idempotency_key_pkey" PRIMARY KEY ("owner","key")
);

-- CreateTable
CREATE TABLE "run" (
    "id" TEXT NOT NULL,
    "seq" BIGSERIAL NOT NULL,
    "kind" TEXT NOT NULL,
    "level" SMALLINT NOT NULL,
    "state" TEXT NOT NULL,
    "spec" JSONB NOT NULL,
    "semantics" INTEGER NOT NULL,
    "title" TEXT NOT NULL,
    "dataset_name" TEXT,
    "dataset_fingerprint" TEXT,
    "resource_class" TEXT NOT NULL,
    "priority" INTEGER NOT NULL,
    "fencing" BIGINT NOT NULL DEFAULT 0,
    "desired" TEXT NOT NULL DEFAULT 'run',
    "budget_from" INTEGER NOT NULL DEFAULT 0,
    "progress_done" DOUBLE PRECISION,
    "progress_total" DOUBLE PRECISION,
    "progress_unit" TEXT,
    "summary" JSONB NOT NULL DEFAULT '{}',
    "message" TEXT,
    "root_run_id" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "queued_at" TIMESTAMPTZ(6),
    "started_at" TIMESTAMPTZ(6),
    "ended_at" TIMESTAMPTZ(6),

    CONSTRAINT "run_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "grid_run" (
    "grid_id" TEXT NOT NULL,
    "run_id" TEXT NOT NULL,

    CONSTRAINT "grid_run_pkey" PRIMARY KEY ("grid_id","run_id")
);

-- CreateTable
CREATE TABLE "grid_point" (
    "grid_id" TEXT NOT NULL,
    "index" INTEGER NOT NULL,
    "evaluate_run_id" TEXT NOT NULL,
    "pretrain_run_id" TEXT NOT NULL,
    "point" JSONB NOT NULL,

    CONSTRAINT "grid_point_pkey" PRIMARY KEY ("grid_id","index")
);

-- CreateTable
CREATE TABLE "edge" (
    "downstream_id" TEXT NOT NULL,
    "upstream_id" TEXT NOT NULL,

    CONSTRAINT "edge_pkey" PRIMARY KEY ("downstream_id","upstream_id")
);

-- CreateTable
CREATE TABLE "worker" (
    "id" TEXT NOT NULL,
    "hostname" TEXT NOT NULL,
    "resource_class" TEXT NOT NULL,
    "engine" TEXT NOT NULL,
    "version" TEXT NOT NULL,
    "first_seen_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "last_seen_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "worker_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "attempt" (
    "id" TEXT NOT NULL,
    "run_id" TEXT NOT NULL,
    "number" INTEGER NOT NULL,
    "state" TEXT NOT NULL,
    "ending" TEXT,
    "message" TEXT,
    "worker_id" TEXT,
    "fencing" BIGINT,
    "lease_until" TIMESTAMPTZ(6),
    "resource_class" TEXT NOT NULL,
    "queue_priority" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "not_before" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "offered_at" TIMESTAMPTZ(6),
    "leased_at" TIMESTAMPTZ(6),
    "started_at" TIMESTAMPTZ(6),
    "ended_at" TIMESTAMPTZ(6),

    CONSTRAINT "attempt_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "outbox" (
    "id" BIGSERIAL NOT NULL,
    "attempt_id" TEXT NOT NULL,
    "resource_class" TEXT NOT NULL,
    "queue_priority" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "not_before" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "outbox_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "checkpoint" (
    "run_id" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "step" BIGINT NOT NULL,
    "attempt_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "sha256" TEXT NOT NULL,
    "size_bytes" BIGINT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "checkpoint_pkey" PRIMARY KEY ("run_id","role","step")
);

-- CreateTable
CREATE TABLE "artifact" (
    "run_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "attempt_id" TEXT NOT NULL,
    "sha256" TEXT NOT NULL,
    "size_bytes" BIGINT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "artifact_pkey" PRIMARY KEY ("run_id","name")
);

-- CreateTable
CREATE TABLE "metric" (
    "run_id" TEXT NOT NULL,
    "step" BIGINT NOT NULL,
    "name" TEXT NOT NULL,
    "attempt" INTEGER NOT NULL,
    "value" DOUBLE PRECISION NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "metric_pkey" PRIMARY KEY ("run_id","step","name","attempt")
);

-- CreateTable
CREATE TABLE "result" (
    "run_id" TEXT NOT NULL,
    "label" TEXT NOT NULL,
    "metric" TEXT NOT NULL,
    "value" DOUBLE PRECISION NOT NULL,
    "low" DOUBLE PRECISION,
    "high" DOUBLE PRECISION,

    CONSTRAINT "result_pkey" PRIMARY KEY ("run_id","label","metric")
);

-- CreateTable
CREATE TABLE "event" (
    "id" BIGSERIAL NOT NULL,
    "at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),
    "type" TEXT NOT NULL,
    "run_id" TEXT,
    "grid_id" TEXT,
    "attempt_id" TEXT,
    "data" JSONB NOT NULL DEFAULT '{}',

    CONSTRAINT "event_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "grid_seq_key" ON "grid"("seq");

-- CreateIndex
CREATE INDEX "grid_name_seq_idx" ON "grid"("name", "seq");

-- CreateIndex
CREATE INDEX "idempotency_key_grid_id_idx" ON "idempotency_key"("grid_id");

-- CreateIndex
CREATE UNIQUE INDEX "run_seq_key" ON "run"("seq");

-- CreateIndex
CREATE INDEX "run_state_kind_idx" ON "run"("state", "kind");

-- CreateIndex
CREATE INDEX "run_kind_seq_idx" ON "run"("kind", "seq");

-- CreateIndex
CREATE INDEX "run_dataset_name_idx" ON "run"("dataset_name");

-- CreateIndex
CREATE INDEX "grid_run_run_id_idx" ON "grid_run"("run_id");

-- CreateIndex
CREATE INDEX "edge_upstream_id_idx" ON "edge"("upstream_id");

-- CreateIndex
CREATE INDEX "worker_last_seen_at_idx" ON "worker"("last_seen_at");

-- CreateIndex
CREATE INDEX "attempt_worker_id_idx" ON "attempt"("worker_id");

-- CreateIndex
CREATE UNIQUE INDEX "attempt_run_id_number_key" ON "attempt"("run_id", "number");

-- CreateIndex
CREATE UNIQUE INDEX "outbox_attempt_id_key" ON "outbox"("attempt_id");

-- CreateIndex
CREATE INDEX "event_run_id_id_idx" ON "event"("run_id", "id");

-- CreateIndex
CREATE INDEX "event_grid_id_id_idx" ON "event"("grid_id", "id");

-- AddForeignKey
ALTER TABLE "idempotency_key" ADD CONSTRAINT "idempotency_key_grid_id_fkey" FOREIGN KEY ("grid_id") REFERENCES "grid"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "run" ADD CONSTRAINT "run_dataset_name_fkey" FOREIGN KEY ("dataset_name") REFERENCES "dataset"("name") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "grid_run" ADD CONSTRAINT "grid_run_grid_id_fkey" FOREIGN KEY ("grid_id") REFERENCES "grid"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "grid_run" ADD CONSTRAINT "grid_run_run_id_fkey" FOREIGN KEY ("run_id") REFERENCES "run"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "grid_point" ADD CONSTRAINT "grid_point_grid_id_fkey" FOREIGN KEY ("grid_id") REFERENCES "grid"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "edge" ADD CONSTRAINT "edge_downstream_id_fkey" FOREIGN KEY ("downstream_id") REFERENCES "run"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "edge" ADD CONSTRAINT "edge_upstream_id_fkey" FOREIGN KEY ("upstream_id") REFERENCES "run"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "attempt" ADD CONSTRAINT "attempt_run_id_fkey" FOREIGN KEY ("run_id") REFERENCES "run"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "attempt" ADD CONSTRAINT "attempt_worker_id_fkey" FOREIGN KEY ("worker_id") REFERENCES "worker"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "outbox" ADD CONSTRAINT "outbox_attempt_id_fkey" FOREIGN KEY ("attempt_id") REFERENCES "attempt"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "checkpoint" ADD CONSTRAINT "checkpoint_run_id_fkey" FOREIGN KEY ("run_id") REFERENCES "run"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "artifact" ADD CONSTRAINT "artifact_run_id_fkey" FOREIGN KEY ("run_id") REFERENCES "run"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "metric" ADD CONSTRAINT "metric_run_id_fkey" FOREIGN KEY ("run_id") REFERENCES "run"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "result" ADD CONSTRAINT "result_run_id_fkey" FOREIGN KEY ("run_id") REFERENCES "run"("id") ON DELETE CASCADE ON UPDATE CASCADE;



-- Written by hand from here on: what Prisma's language cannot say.

-- Closed word lists. The same lists are in libs/runs/src/states.ts and libs/experiments/src/vocabulary.ts.
ALTER TABLE "run"
  ADD CONSTRAINT "run_id_is_a_hash" CHECK ("id" ~ '^[0-9a-f]{64}$'),
  ADD CONSTRAINT "run_kind_has_its_level" CHECK (("kind", "level") IN (('prepare', 0), ('pretrain', 1), ('evaluate', 2))),
  ADD CONSTRAINT "run_state_is_known" CHECK ("state" IN ('blocked', 'queued', 'running', 'succeeded', 'failed', 'paused', 'cancelled', 'upstream-failed')),
  ADD CONSTRAINT "run_desired_is_known" CHECK ("desired" IN ('run', 'cancel', 'pause', 'preempt')),
  -- A wish is for a worker; a run without one obeys at once.
  ADD CONSTRAINT "run_desired_only_while_running" CHECK ("desired" = 'run' OR "state" = 'running'),
  ADD CONSTRAINT "run_ended_at_in_end_states" CHECK (("ended_at" IS NOT NULL) = ("state" IN ('succeeded', 'failed', 'cancelled', 'upstream-failed'))),
  ADD CONSTRAINT "run_root_only_where_upstream_failed" CHECK (("root_run_id" IS NOT NULL) = ("state" = 'upstream-failed')),
  ADD CONSTRAINT "run_dataset_is_whole" CHECK (("dataset_name" IS NULL) = ("dataset_fingerprint" IS NULL)),
  ADD CONSTRAINT "run_progress_is_whole" CHECK (("progress_done" IS NULL) = ("progress_total" IS NULL) AND ("progress_done" IS NULL) = ("progress_unit" IS NULL)),
  ADD CONSTRAINT "run_counters_are_not_negative" CHECK ("fencing" >= 0 AND "budget_from" >= 0 AND "semantics" >= 0);

ALTER TABLE "attempt"
  ADD CONSTRAINT "attempt_number_counts_from_one" CHECK ("number" >= 1),
  ADD CONSTRAINT "attempt_state_is_known" CHECK ("state" IN ('waiting', 'leased', 'running', 'ended')),
  ADD CONSTRAINT "attempt_ending_is_known" CHECK ("ending" IN ('succeeded', 'spec-error', 'out-of-memory', 'non-finite', 'crashed', 'preempted', 'lost', 'paused', 'cancelled')),
  ADD CONSTRAINT "attempt_ending_when_ended" CHECK (("ending" IS NOT NULL) = ("state" = 'ended') AND ("ended_at" IS NOT NULL) = ("state" = 'ended')),
  ADD CONSTRAINT "attempt_lease_while_held" CHECK (("lease_until" IS NOT NULL) = ("state" IN ('leased', 'running'))),
  -- Worker, token and time of the lease come together, never before it; an attempt that ends while it waits has none.
  ADD CONSTRAINT "attempt_holder_is_whole" CHECK (("worker_id" IS NULL) = ("fencing" IS NULL) AND ("worker_id" IS NULL) = ("leased_at" IS NULL)),
  ADD CONSTRAINT "attempt_holder_fits_state" CHECK (("state" = 'waiting' AND "worker_id" IS NULL) OR ("state" IN ('leased', 'running') AND "worker_id" IS NOT NULL) OR "state" = 'ended'),
  ADD CONSTRAINT "attempt_without_holder_was_cancelled" CHECK ("state" <> 'ended' OR "worker_id" IS NOT NULL OR "ending" IN ('cancelled', 'paused')),
  ADD CONSTRAINT "attempt_queue_priority_counts_from_one" CHECK ("queue_priority" >= 1);

-- At most one attempt of a run is alive, whatever the code does.
CREATE UNIQUE INDEX "attempt_one_alive_a_run" ON "attempt" ("run_id") WHERE "state" <> 'ended';
-- A token is given once a run.
CREATE UNIQUE INDEX "attempt_fencing_once" ON "attempt" ("run_id", "fencing") WHERE "fencing" IS NOT NULL;
-- The sweep over expired leases, and the search for jobs that the queue lost.
CREATE INDEX "attempt_held" ON "attempt" ("lease_until") WHERE "state" IN ('leased', 'running');
CREATE INDEX "attempt_waiting" ON "attempt" ("offered_at" NULLS FIRST, "id") WHERE "state" = 'waiting';
-- The order in which the queue runs them.
CREATE INDEX "attempt_line" ON "attempt" ("resource_class", "queue_priority", "created_at") WHERE "state" = 'waiting';
-- Prefixes of run and grid ids (LIKE 'abc%'), whatever the collation.
CREATE INDEX "run_id_prefix" ON "run" ("id" text_pattern_ops);
CREATE INDEX "grid_id_prefix" ON "grid" ("id" text_pattern_ops);

ALTER TABLE "grid"
  ADD CONSTRAINT "grid_id_is_a_hash" CHECK ("id" ~ '^[0-9a-f]{64}$'),
  ADD CONSTRAINT "grid_priority_in_range" CHECK ("priority" BETWEEN -100 AND 100);
ALTER TABLE "edge" ADD CONSTRAINT "edge_is_no_loop" CHECK ("upstream_id" <> "downstream_id");
ALTER TABLE "dataset" ADD CONSTRAINT "dataset_kind_is_known" CHECK ("kind" IN ('mimic-cxr', 'nih14', 'chexpert'));
ALTER TABLE "outbox" ADD CONSTRAINT "outbox_queue_priority_counts_from_one" CHECK ("queue_priority" >= 1);
ALTER TABLE "checkpoint"
  ADD CONSTRAINT "checkpoint_role_is_known" CHECK ("role" IN ('periodic', 'best', 'final')),
  ADD CONSTRAINT "checkpoint_is_hashed" CHECK ("sha256" ~ '^[0-9a-f]{64}$' AND "size_bytes" >= 0);
ALTER TABLE "artifact" ADD CONSTRAINT "artifact_is_hashed" CHECK ("sha256" ~ '^[0-9a-f]{64}$' AND "size_bytes" >= 0);
