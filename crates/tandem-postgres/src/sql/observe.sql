-- One look at this site's database, in the shape of tandem_core::database::DatabaseSeen.
-- $1 this site, $2 the other site, $3 subscription, $4 slot, $5 replicated schemas
SELECT jsonb_build_object(
    'guard', (
        SELECT jsonb_build_object('epoch', l.epoch, 'remaining_ms',
            CASE WHEN l.closed OR l.started <> pg_postmaster_start_time() THEN 0
                 ELSE greatest(0, floor(extract(epoch FROM l.expires_at - clock_timestamp()) * 1000)::bigint) END)
          FROM tandem_local.lease l WHERE l.site = $1::text),
    'subscription', (
        SELECT jsonb_build_object(
            'enabled', s.subenabled,
            'worker', EXISTS (SELECT FROM pg_stat_subscription w WHERE w.subid = s.oid AND w.relid IS NULL AND w.pid IS NOT NULL),
            'tables_ready', (SELECT count(*) FROM pg_subscription_rel r WHERE r.srsubid = s.oid AND r.srsubstate = 'r'),
            'tables_total', (SELECT count(*) FROM pg_subscription_rel r WHERE r.srsubid = s.oid),
            'origin', tandem_local.applied_to(),
            'received', (SELECT w.latest_end_lsn FROM pg_stat_subscription w WHERE w.subid = s.oid AND w.relid IS NULL AND w.pid IS NOT NULL LIMIT 1),
            'apply_errors', coalesce((SELECT e.apply_error_count FROM pg_stat_subscription_stats e WHERE e.subid = s.oid), 0))
          FROM pg_subscription s
         WHERE s.subname = $3::text AND s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())),
    'slot', (
        SELECT jsonb_build_object(
            'active', k.active,
            'lost', coalesce(k.wal_status = 'lost', false),
            'behind_bytes', greatest(0, pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(k.confirmed_flush_lsn, pg_current_wal_lsn())))::bigint,
            'headroom_bytes', CASE WHEN k.safe_wal_size < 0 THEN 0 ELSE k.safe_wal_size END)
          FROM pg_replication_slots k WHERE k.slot_name = $4::text AND k.database = current_database()),
    'applied', (
        SELECT jsonb_build_object('site', h.site, 'epoch', h.epoch, 'seq', h.seq)
          FROM tandem.heartbeat h WHERE h.site = $2::text AND h.seq > 0),
    'schema_hash', (
        -- Names, types and not-null of the columns, and the key by which rows are found:
        -- what replication maps by. Defaults and column order may differ.
        SELECT md5(string_agg(shape.line, E'\n' ORDER BY shape.line COLLATE "C"))
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
          CROSS JOIN LATERAL (
                SELECT format('%I.%I.%I %s %s %s', n.nspname, c.relname, a.attname,
                              format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated) AS line
                  FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                UNION ALL
                SELECT format('%I.%I key %s %s', n.nspname, c.relname, c.relreplident,
                              (SELECT string_agg(quote_ident(k.attname), ',' ORDER BY k.attnum) FROM pg_attribute k WHERE k.attrelid = i.indexrelid))
                  FROM pg_index i
                 WHERE i.indrelid = c.oid AND (i.indisreplident OR (c.relreplident = 'd' AND i.indisprimary))) shape
         WHERE n.nspname = ANY ($5::text[]) AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'),
    'prepared', (
        SELECT jsonb_build_object('epoch', p.epoch, 'boundary', coalesce(p.boundary, '0/0'::pg_lsn))
          FROM tandem_local.promotion p WHERE p.prepared_at IS NOT NULL ORDER BY p.epoch DESC LIMIT 1),
    'diverged', EXISTS (
        SELECT FROM tandem_local.promotion p JOIN tandem_local.lease l ON l.site = $1::text
         WHERE p.boundary IS NOT NULL AND l.epoch >= p.epoch),
    'lost', (
        SELECT r.lost FROM tandem_local.reinstatement r
         WHERE r.done_at IS NULL AND r.repaired_at IS NULL AND r.lost > 0 ORDER BY r.epoch DESC LIMIT 1),
    'unfinished', EXISTS (
        SELECT FROM tandem_local.reinstatement r WHERE r.followed_at IS NOT NULL AND r.done_at IS NULL),
    'ledger_due', (
        SELECT max(p.epoch) FROM tandem_local.promotion p
         WHERE p.boundary IS NOT NULL AND p.prepared_at IS NOT NULL AND p.from_site <> $1::text
           AND NOT EXISTS (SELECT FROM tandem_local.ledger g WHERE g.epoch >= p.epoch)),
    'ledger_expired', (
        SELECT min(g.epoch) FROM tandem_local.ledger g
         WHERE g.erased_at IS NULL AND $6::int > 0 AND g.collected_at < clock_timestamp() - make_interval(days => $6::int)))
