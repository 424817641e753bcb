-- A transfer tests what another evaluation trained: an upstream's level must stay below its dependents', since rows are locked
-- in that order.
ALTER TABLE "run" DROP CONSTRAINT "run_kind_has_its_level",
  ADD CONSTRAINT "run_kind_has_its_level"
    CHECK (("kind", "level") IN (('prepare', 0), ('pretrain', 1), ('evaluate', 2), ('evaluate', 3)));
-- A place in the line has room for four levels a priority now.
UPDATE "attempt" a SET "queue_priority" = (101 - r."priority") * 4 + 3 - r."level" FROM "run" r WHERE r."id" = a."run_id" AND a."state" = 'waiting';
UPDATE "outbox" o SET "queue_priority" = a."queue_priority" FROM "attempt" a WHERE a."id" = o."attempt_id";

-- The levels of an edge, whatever the code does.
CREATE FUNCTION "edge_leads_up"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT 1 FROM added e JOIN run d ON d.id = e.downstream_id JOIN run u ON u.id = e.upstream_id WHERE u.level >= d.level
  ) THEN
    RAISE EXCEPTION 'an upstream run has no lower level' USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER "edge_leads_up" AFTER INSERT ON "edge" REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION "edge_leads_up"();
