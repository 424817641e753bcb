-- Ids are looked up by prefix as a range (id >= 'abc' AND id < 'abcg'), which the primary keys serve in any collation that
-- sorts digits before letters. Prisma's language cannot say text_pattern_ops, so these indexes were drift.
DROP INDEX "run_id_prefix";
DROP INDEX "grid_id_prefix";
