-- One site's part of replication, as a schema change needs it, in the shape of schema::look::Site.
-- $1 replicated schemas, $2 owner role, $3 application role, $4 subscription, $5 slot, $6 publication
SELECT jsonb_build_object(
    'set_up', to_regclass('tandem_local.lease') IS NOT NULL,
    'subscription', (
        SELECT jsonb_build_object('enabled', s.subenabled,
                   'worker', EXISTS (SELECT FROM pg_stat_subscription w WHERE w.subid = s.oid AND w.relid IS NULL AND w.pid IS NOT NULL),
                   'errors', (SELECT coalesce(sum(e.apply_error_count + e.sync_error_count), 0)::bigint FROM pg_stat_subscription_stats e WHERE e.subid = s.oid),
                   'unready', (SELECT coalesce(jsonb_agg(r.srrelid::regclass::text ORDER BY 1), '[]') FROM pg_subscription_rel r WHERE r.srsubid = s.oid AND r.srsubstate <> 'r'),
                   'tables', (SELECT coalesce(jsonb_agg(jsonb_build_object('schema', n.nspname, 'name', c.relname)), '[]') FROM pg_subscription_rel r
                                JOIN pg_class c ON c.oid = r.srrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE r.srsubid = s.oid))
          FROM pg_subscription s
         WHERE s.subname = $4::text AND s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())),
    'slot_lost', coalesce((SELECT k.wal_status = 'lost' FROM pg_replication_slots k WHERE k.slot_name = $5::text AND k.database = current_database()), false),
    'published', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('schema', n.nspname, 'name', c.relname)), '[]') FROM pg_publication_rel r
          JOIN pg_publication p ON p.oid = r.prpubid JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE p.pubname = $6::text),
    'publishes_all', EXISTS (SELECT FROM pg_publication p WHERE p.pubname = $6::text AND p.puballtables),
    'closed_schemas', (
        SELECT coalesce(jsonb_agg(n.nspname ORDER BY n.nspname), '[]') FROM pg_namespace n
         WHERE n.nspname = ANY ($1::text[]) AND NOT has_schema_privilege($2::text, n.oid, 'CREATE')),
    'application_writes', coalesce((
        SELECT bool_or(has_table_privilege(a.oid, c.oid, 'INSERT, UPDATE, DELETE')) FROM pg_roles a, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE a.rolname = $3::text AND n.nspname = ANY ($1::text[]) AND c.relkind IN ('r', 'p')), false))
