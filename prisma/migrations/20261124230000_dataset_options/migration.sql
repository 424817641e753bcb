-- What a registration says beside kind and root: where MIMIC-IV and a split table lie, and the split rule. '{}': nothing.
ALTER TABLE "dataset" ADD COLUMN "options" JSONB NOT NULL DEFAULT '{}';
