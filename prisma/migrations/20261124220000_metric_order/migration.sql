-- Readers follow the points of a run as they come: `seq` rises with each point of a run in the order of commits (record-metrics.ts).
ALTER TABLE "metric" ADD COLUMN "seq" BIGSERIAL NOT NULL;
CREATE INDEX "metric_run_id_seq_idx" ON "metric"("run_id", "seq");
