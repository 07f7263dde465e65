-- Everything that decides whether one server can be half of a pair, in the shape of
-- facts::Facts; a member of pg_monitor may ask all of it. $1 replicated schemas, $2 owner, $3 application, $4 agent,
-- $5 replication role, $6 administrator
WITH wanted AS (
    SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, c.relkind, c.relpersistence, c.relreplident, c.relowner
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = ANY ($1::text[]) AND c.relkind IN ('r', 'p') AND c.relpersistence IN ('p', 'u')
), role AS (
    SELECT (SELECT oid FROM pg_roles WHERE rolname = $2::text) AS owner,
           (SELECT oid FROM pg_roles WHERE rolname = $3::text) AS app,
           (SELECT oid FROM pg_roles WHERE rolname = $4::text) AS agent,
           (SELECT oid FROM pg_roles WHERE rolname = $5::text) AS repl
), replicated AS (
    SELECT w.* FROM wanted w JOIN pg_class c ON c.oid = w.oid WHERE w.relpersistence = 'p' AND NOT c.relispartition
), defaults AS (
    SELECT n.nspname, d.defaclobjtype AS kind, a.grantee, a.privilege_type
      FROM pg_default_acl d JOIN pg_namespace n ON n.oid = d.defaclnamespace CROSS JOIN role
      CROSS JOIN LATERAL aclexplode(d.defaclacl) a
     WHERE d.defaclrole = role.owner
)
SELECT jsonb_build_object(
    'version', current_setting('server_version_num')::int,
    'encoding', (SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()),
    'collation', (SELECT datcollate FROM pg_database WHERE datname = current_database()),
    'settings', (SELECT jsonb_object_agg(name, setting) FROM pg_settings WHERE name IN (
        'wal_level', 'max_prepared_transactions', 'max_replication_slots', 'max_wal_senders', 'max_logical_replication_workers',
        'max_slot_wal_keep_size', 'wal_receiver_timeout', 'track_commit_timestamp', 'ssl',
        'DateStyle', 'IntervalStyle', 'TimeZone', 'extra_float_digits', 'bytea_output')),
    'reader', current_user::text,
    'monitors', pg_has_role(current_user, 'pg_monitor', 'USAGE'),
    'provider', CASE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_superuser') THEN 'rds'
                     WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = 'cloudsqlsuperuser') THEN 'cloudsql' ELSE 'plain' END,
    'hidden_objects', EXISTS (
        SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'tandem_local' AND c.relname IN ('version', 'promotion')
           AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))),
    'superuser', (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
    'rds', EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_replication'),
    'slots', (
        SELECT coalesce(jsonb_object_agg(slot_name, jsonb_build_object('logical', slot_type = 'logical', 'here', database = current_database(),
                   'active', active, 'wal_status', wal_status, 'headroom', safe_wal_size)), '{}')
          FROM pg_replication_slots WHERE NOT temporary),
    'schemas', (SELECT coalesce(jsonb_agg(nspname), '[]') FROM pg_namespace WHERE nspname = ANY ($1::text[] || ARRAY['tandem', 'tandem_local'])),
    'roles', (
        SELECT coalesce(jsonb_object_agg(r.rolname, jsonb_build_object('login', r.rolcanlogin, 'superuser', r.rolsuper,
                   'replication', r.rolreplication OR EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
                                   WHERE m.member = r.oid AND g.rolname = 'rds_replication'),
                   'member_of', (SELECT coalesce(jsonb_agg(g.rolname), '[]') FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid))), '{}')
          FROM pg_roles r WHERE r.rolname IN ($2::text, $3::text, $4::text, $5::text, $6::text)),
    'application_powers', (
        SELECT coalesce(jsonb_agg(g.rolname ORDER BY g.rolname), '[]') FROM role JOIN pg_roles g ON g.oid <> role.app
         WHERE g.rolname IN ('rds_superuser', 'cloudsqlsuperuser') AND pg_has_role(role.app, g.oid, 'MEMBER')),
    'application_skips_triggers', (SELECT coalesce(has_parameter_privilege(role.app, 'session_replication_role', 'SET'), false) FROM role),
    'agent_monitors', (SELECT coalesce(pg_has_role(role.agent, 'pg_monitor', 'USAGE'), false) FROM role),
    'agent_signals', (SELECT coalesce(pg_has_role(role.agent, 'pg_signal_backend', 'USAGE'), false) FROM role),
    'boundary', (
        SELECT coalesce(bool_or(has_function_privilege(p.proowner, 'pg_show_replication_origin_status()', 'EXECUTE')), false)
          FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'tandem_local' AND p.proname = 'applied_to'),
    'materialized_views', (
        SELECT coalesce(jsonb_agg(format('%I.%I', schemaname, matviewname) ORDER BY 1), '[]') FROM pg_matviews WHERE schemaname = ANY ($1::text[])),
    'large_objects', EXISTS (SELECT FROM pg_largeobject_metadata),
    'extensions', (SELECT coalesce(jsonb_object_agg(extname, extversion), '{}') FROM pg_extension),
    'sequences', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('name', format('%I.%I', q.schemaname, q.sequencename),
                   'readable', has_sequence_privilege(c.oid, 'USAGE, SELECT'), 'last', q.last_value,
                   'ends_at', CASE coalesce(a.atttypid, 0)
                       WHEN 'int2'::regtype THEN least(q.max_value, 32767) WHEN 'int4'::regtype THEN least(q.max_value, 2147483647)
                       ELSE q.max_value END, 'cycles', q.cycle, 'ascends', q.increment_by > 0) ORDER BY q.schemaname, q.sequencename), '[]')
          FROM pg_sequences q JOIN pg_namespace n ON n.nspname = q.schemaname
          JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = q.sequencename
          LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass
               AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
          LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
         WHERE q.schemaname = ANY ($1::text[])),
    'tables', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('name', w.name, 'owner', pg_get_userbyid(w.relowner),
                   'logged', w.relpersistence = 'p',
                   'identity', w.relreplident = 'f' OR EXISTS (SELECT FROM pg_index i WHERE i.indrelid = w.oid
                        AND ((w.relreplident = 'd' AND i.indisprimary) OR (w.relreplident = 'i' AND i.indisreplident))),
                   'root', EXISTS (SELECT FROM replicated r WHERE r.oid = w.oid),
                   'guard', (SELECT t.tgenabled FROM pg_trigger t WHERE t.tgrelid = w.oid AND t.tgname = 'tandem_guard'),
                   'always', EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = w.oid AND NOT t.tgisinternal
                        AND t.tgname <> 'tandem_guard' AND t.tgenabled IN ('A', 'R')),
                   'columns', (SELECT jsonb_object_agg(a.attname, format_type(a.atttypid, a.atttypmod))
                                 FROM pg_attribute a WHERE a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped)) ORDER BY w.name), '[]')
          FROM wanted w),
    'publications', (
        SELECT coalesce(jsonb_object_agg(p.pubname, (
                   SELECT coalesce(jsonb_agg(format('%I.%I', n.nspname, c.relname) ORDER BY n.nspname, c.relname), '[]') FROM pg_publication_rel r
                     JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE r.prpubid = p.oid)), '{}')
          FROM pg_publication p),
    'publication_tables', (
        SELECT coalesce(jsonb_object_agg(x.pubname, x.tables), '{}') FROM (
            SELECT pubname, jsonb_agg(format('%I.%I', schemaname, tablename) ORDER BY schemaname, tablename) AS tables
              FROM pg_publication_tables GROUP BY pubname) x),
    'publishes_all', (SELECT coalesce(jsonb_agg(pubname), '[]') FROM pg_publication WHERE puballtables),
    'subscriptions', (
        SELECT coalesce(jsonb_object_agg(s.subname, jsonb_build_object('enabled', s.subenabled, 'slot', s.subslotname,
                   'publications', s.subpublications,
                   'worker', EXISTS (SELECT FROM pg_stat_subscription w WHERE w.subid = s.oid AND w.relid IS NULL AND w.pid IS NOT NULL),
                   'errors', (SELECT coalesce(sum(e.apply_error_count + e.sync_error_count), 0)::bigint FROM pg_stat_subscription_stats e WHERE e.subid = s.oid),
                   'unready', (SELECT coalesce(jsonb_agg(r.srrelid::regclass::text ORDER BY 1), '[]') FROM pg_subscription_rel r
                                WHERE r.srsubid = s.oid AND r.srsubstate <> 'r'),
                   'tables', (SELECT coalesce(jsonb_agg(format('%I.%I', n.nspname, c.relname) ORDER BY n.nspname, c.relname), '[]') FROM pg_subscription_rel r
                     JOIN pg_class c ON c.oid = r.srrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE r.srsubid = s.oid))), '{}')
          FROM pg_subscription s WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())),
    'missing_grants', (
        SELECT coalesce(jsonb_agg(m.what), '[]') FROM role CROSS JOIN LATERAL (
            SELECT 'USAGE on schema ' || n.nspname || ' for ' || r.name AS what
              FROM pg_namespace n CROSS JOIN (VALUES ($4::text, role.agent), ($5::text, role.repl), ($3::text, role.app)) r(name, id)
             WHERE n.nspname = ANY ($1::text[]) AND has_schema_privilege(r.id, n.oid, 'USAGE') IS NOT TRUE
            UNION ALL
            SELECT 'SELECT on ' || w.name || ' for ' || $5::text FROM wanted w WHERE has_table_privilege(role.repl, w.oid, 'SELECT') IS NOT TRUE
            UNION ALL
            SELECT 'SELECT on sequence ' || format('%I.%I', n.nspname, c.relname) || ' for ' || $4::text
              FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = ANY ($1::text[])  -- CASE: the function refuses other kinds, in whatever order conditions are tried
               AND CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(role.agent, c.oid, 'SELECT') IS NOT TRUE ELSE false END
            UNION ALL
            SELECT 'SELECT on future ' || k.what || ' of ' || s || ' for ' || k.name
              FROM unnest($1::text[]) s CROSS JOIN (VALUES ('r', role.repl, 'tables', $5::text), ('S', role.agent, 'sequences', $4::text)) k(kind, id, what, name)
             WHERE NOT EXISTS (SELECT FROM defaults d WHERE d.nspname = s AND d.kind::text = k.kind AND d.grantee = k.id AND d.privilege_type = 'SELECT')) m),
    'application_writes', (
        SELECT coalesce(bool_or(has_table_privilege(role.app, w.oid, 'INSERT, UPDATE, DELETE')), false) FROM wanted w CROSS JOIN role))
