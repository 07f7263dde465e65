-- What the administrator lends the agent's role, function by function.
-- The agent owns the schema these functions stand in, so none of them may run
-- anything of it: only pg_catalog, the application's tables, and names filled in here.

DROP FUNCTION IF EXISTS tandem_local.applied_to();
CREATE FUNCTION tandem_local.applied_to() RETURNS pg_lsn
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT nullif(o.remote_lsn, '0/0') FROM pg_show_replication_origin_status() o
     WHERE o.external_id = (SELECT 'pg_' || s.oid FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
                             WHERE s.subname = {{subscription_text}} AND d.datname = current_database()) $$;

DROP FUNCTION IF EXISTS tandem_local.stop_receiving();
CREATE FUNCTION tandem_local.stop_receiving() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    ALTER SUBSCRIPTION {{subscription}} DISABLE;
END $$;

DROP FUNCTION IF EXISTS tandem_local.resume_receiving();
CREATE FUNCTION tandem_local.resume_receiving() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    ALTER SUBSCRIPTION {{subscription}} ENABLE;
END $$;

DROP FUNCTION IF EXISTS tandem_local.end_receiver();
CREATE FUNCTION tandem_local.end_receiver() RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT count(*) FILTER (WHERE pg_terminate_backend(w.pid)) FROM pg_stat_subscription w
     WHERE w.subname = {{subscription_text}} AND w.pid IS NOT NULL $$;

-- Publishes every permanent table of the replicated schemas, and the heartbeat.
DROP FUNCTION IF EXISTS tandem_local.publish();
CREATE FUNCTION tandem_local.publish() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t regclass;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = {{publication_text}}) THEN
        CREATE PUBLICATION {{publication}} FOR TABLE tandem.heartbeat;
    END IF;
    FOR t IN SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE n.nspname = ANY ({{schemas}}) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
                AND c.relpersistence = 'p'
                AND NOT EXISTS (SELECT FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
                                 WHERE p.pubname = {{publication_text}} AND r.prrelid = c.oid)
              ORDER BY 1 LOOP
        EXECUTE format('ALTER PUBLICATION %I ADD TABLE %s', {{publication_text}}, t);
    END LOOP;
END $$;

-- Sets every sequence of the replicated schemas past anything the other site can have
-- given out: past the newest value known from its heartbeat (`issued`) or found in an
-- indexed column, by max(1000, 10 x the most given out in one window). Repeatable.
DROP FUNCTION IF EXISTS tandem_local.advance_sequences(jsonb);
CREATE FUNCTION tandem_local.advance_sequences(issued jsonb) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s record;
    up boolean;
    base numeric;
    top numeric;
    present bigint;
    used boolean;
    target numeric;
    moved bigint := 0;
BEGIN
    FOR s IN
        SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, q.seqstart, q.seqincrement, q.seqmin, q.seqmax,
               a.attrelid::regclass AS tab, a.attname
          FROM pg_sequence q JOIN pg_class c ON c.oid = q.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
          LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
                AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
          LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
                AND EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisvalid
                              AND i.indpred IS NULL AND i.indkey[0] = a.attnum)
         WHERE n.nspname = ANY ({{schemas}}) AND c.relpersistence <> 't'
    LOOP
        up := s.seqincrement > 0;
        base := coalesce((issued -> s.name ->> 'last')::numeric, s.seqstart - s.seqincrement);
        IF s.attname IS NOT NULL THEN
            EXECUTE format('SELECT %s(%I) FROM %s', CASE WHEN up THEN 'max' ELSE 'min' END, s.attname, s.tab) INTO top;
            base := CASE WHEN up THEN greatest(base, top) ELSE least(base, top) END;
        END IF;
        target := base + sign(s.seqincrement)
                  * greatest(1000 * abs(s.seqincrement), 10 * coalesce((issued -> s.name ->> 'peak')::numeric, 0));
        target := least(greatest(target, s.seqmin), s.seqmax);
        EXECUTE format('SELECT last_value, is_called FROM %s', s.oid::regclass) INTO present, used;
        IF NOT used OR (up AND present < target) OR (NOT up AND present > target) THEN
            PERFORM setval(s.oid::regclass, target::bigint, true);
            moved := moved + 1;
        END IF;
    END LOOP;
    RETURN moved;
END $$;

-- Makes this site a subscriber of the other one, from the slot that waits there. The way is
-- fixed here; only the password is given. An error is said without its context, which
-- would hold the connection string.
DROP FUNCTION IF EXISTS tandem_local.follow(text, boolean);
CREATE FUNCTION tandem_local.follow(password text, copy_data boolean) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    way text := {{way}} || ' password=''' || replace(replace(password, '\', '\\'), '''', '\''') || '''';
BEGIN
    IF EXISTS (SELECT FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
                WHERE s.subname = {{subscription_text}} AND d.datname = current_database()) THEN
        ALTER SUBSCRIPTION {{subscription}} DISABLE;
        ALTER SUBSCRIPTION {{subscription}} SET (slot_name = NONE);
        DROP SUBSCRIPTION {{subscription}};
    END IF;
    EXECUTE format('CREATE SUBSCRIPTION %I CONNECTION %L PUBLICATION %I WITH (slot_name = %L, create_slot = false, '
                   'copy_data = %s, synchronous_commit = ''off'', disable_on_error = false)',
                   {{subscription_text}}, way, {{source_publication_text}}, {{source_slot_text}},
                   CASE WHEN copy_data THEN 'true' ELSE 'false' END);
EXCEPTION WHEN OTHERS THEN
    RAISE EXCEPTION USING MESSAGE = sqlerrm, ERRCODE = sqlstate;
END $$;

-- The rest of the transaction is not logged by its text or values, as far as this server lets it.
DROP FUNCTION IF EXISTS tandem_local.hush();
CREATE FUNCTION tandem_local.hush() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    quiet text[];
BEGIN
    FOREACH quiet SLICE 1 IN ARRAY ARRAY[['log_statement', 'none'], ['log_min_duration_statement', '-1'],
                                         ['log_min_duration_sample', '-1'], ['log_min_error_statement', 'panic'],
                                         ['log_parameter_max_length', '0'], ['log_parameter_max_length_on_error', '0']] LOOP
        BEGIN
            PERFORM set_config(quiet[1], quiet[2], true);
        EXCEPTION WHEN insufficient_privilege THEN
            NULL;
        END;
    END LOOP;
END $$;

-- Brings rows of one table to what the other site holds: removes the keys of `gone`, then
-- writes `kept`. Keys and rows are arrays of texts in the order of `key` and `columns`.
-- No trigger, no guard and no foreign key looks on. Lent for one reinstatement only, by a
-- person's administrator; `return_powers` gives it back.
DROP FUNCTION IF EXISTS tandem_local.repair(text, text, text[], jsonb, text[], jsonb);
CREATE FUNCTION tandem_local.repair(schema text, tab text, key text[], gone jsonb, columns text[], kept jsonb)
    RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target oid := (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = schema AND c.relname = tab AND n.nspname = ANY ({{schemas}}) AND c.relkind IN ('r', 'p'));
    matched text;
    listed text;
    given text;
    touched bigint;
    written bigint := 0;
BEGIN
    IF target IS NULL THEN
        RAISE EXCEPTION 'tandem: %.% is no replicated table', schema, tab;
    END IF;
    PERFORM set_config('session_replication_role', 'replica', true);
    SELECT string_agg(format('t.%I = (e.v ->> %s)::%s', a.attname, k.n - 1, format_type(a.atttypid, a.atttypmod)), ' AND ')
      INTO matched
      FROM unnest(key) WITH ORDINALITY k(name, n) JOIN pg_attribute a ON a.attrelid = target AND a.attname = k.name;
    EXECUTE format('DELETE FROM %s t USING jsonb_array_elements($1) e(v) WHERE %s', target::regclass, matched) USING gone;
    GET DIAGNOSTICS touched = ROW_COUNT;
    IF jsonb_array_length(kept) > 0 THEN
        SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.n),
               string_agg(format('(e.v ->> %s)::%s', k.n - 1, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY k.n)
          INTO listed, given
          FROM unnest(columns) WITH ORDINALITY k(name, n) JOIN pg_attribute a ON a.attrelid = target AND a.attname = k.name;
        EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM jsonb_array_elements($1) e(v)',
                       target::regclass, listed, given) USING kept;
        GET DIAGNOSTICS written = ROW_COUNT;
    END IF;
    RETURN touched + written;
END $$;

-- Empties every published table, before a full copy. Lent like `repair`.
DROP FUNCTION IF EXISTS tandem_local.empty_tables();
CREATE FUNCTION tandem_local.empty_tables() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tables text;
BEGIN
    PERFORM set_config('session_replication_role', 'replica', true);
    SELECT string_agg(c.oid::regclass::text, ', ') INTO tables
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = ANY ({{schemas}}) AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
       AND EXISTS (SELECT FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
                    WHERE p.pubname = {{publication_text}} AND r.prrelid = c.oid);
    IF tables IS NOT NULL THEN
        EXECUTE 'TRUNCATE ' || tables;
    END IF;
END $$;

DROP FUNCTION IF EXISTS tandem_local.return_powers();
CREATE FUNCTION tandem_local.return_powers() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    REVOKE ALL ON FUNCTION tandem_local.repair(text, text, text[], jsonb, text[], jsonb), tandem_local.empty_tables()
        FROM {{agent_role}};
END $$;

REVOKE ALL ON FUNCTION tandem_local.applied_to(), tandem_local.stop_receiving(), tandem_local.resume_receiving(),
    tandem_local.end_receiver(), tandem_local.publish(), tandem_local.advance_sequences(jsonb),
    tandem_local.follow(text, boolean), tandem_local.hush(), tandem_local.return_powers(), tandem_local.empty_tables(),
    tandem_local.repair(text, text, text[], jsonb, text[], jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tandem_local.applied_to(), tandem_local.stop_receiving(), tandem_local.resume_receiving(),
    tandem_local.end_receiver(), tandem_local.publish(), tandem_local.advance_sequences(jsonb),
    tandem_local.follow(text, boolean), tandem_local.hush(), tandem_local.return_powers() TO {{agent_role}};
