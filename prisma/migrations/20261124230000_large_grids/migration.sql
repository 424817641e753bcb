-- A grid of 10,000 points writes 35,000 rows of edge and grid_run, whose four foreign keys asked 70,000 single questions: a third
-- of the whole submission. The same promise is kept with one question a statement, and by runs and grids that are never deleted.
ALTER TABLE "edge" DROP CONSTRAINT "edge_downstream_id_fkey", DROP CONSTRAINT "edge_upstream_id_fkey";
ALTER TABLE "grid_run" DROP CONSTRAINT "grid_run_grid_id_fkey", DROP CONSTRAINT "grid_run_run_id_fkey";

CREATE OR REPLACE FUNCTION "edge_leads_up"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT 1 FROM added e LEFT JOIN run d ON d.id = e.downstream_id LEFT JOIN run u ON u.id = e.upstream_id
    WHERE d.id IS NULL OR u.id IS NULL OR u.level >= d.level
  ) THEN
    RAISE EXCEPTION 'an edge leads from a run to one of a lower level' USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION "grid_run_is_known"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT 1 FROM added a LEFT JOIN run r ON r.id = a.run_id LEFT JOIN grid g ON g.id = a.grid_id WHERE r.id IS NULL OR g.id IS NULL
  ) THEN
    RAISE EXCEPTION 'a grid wants a run that is not there' USING ERRCODE = 'foreign_key_violation', CONSTRAINT = TG_NAME;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER "grid_run_is_known" AFTER INSERT ON "grid_run" REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION "grid_run_is_known"();

CREATE FUNCTION "never_deleted"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'rows of % are never deleted', TG_TABLE_NAME USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
END $$;
CREATE TRIGGER "run_is_kept" BEFORE DELETE ON "run" FOR EACH ROW EXECUTE FUNCTION "never_deleted"();
CREATE TRIGGER "grid_is_kept" BEFORE DELETE ON "grid" FOR EACH ROW EXECUTE FUNCTION "never_deleted"();
-- An id that others name does not change.
CREATE TRIGGER "run_id_is_kept" BEFORE UPDATE OF "id" ON "run" FOR EACH ROW EXECUTE FUNCTION "never_deleted"();
CREATE TRIGGER "grid_id_is_kept" BEFORE UPDATE OF "id" ON "grid" FOR EACH ROW EXECUTE FUNCTION "never_deleted"();
CREATE TRIGGER "edge_is_kept" BEFORE UPDATE ON "edge" FOR EACH ROW EXECUTE FUNCTION "only_appended"();
CREATE TRIGGER "grid_run_is_kept" BEFORE UPDATE ON "grid_run" FOR EACH ROW EXECUTE FUNCTION "only_appended"();
