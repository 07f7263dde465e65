-- What a person wants to know about one site's part of replication.
-- $1 this site, $2 the other site, $3 subscription, $4 slot
SELECT jsonb_build_object(
    'now_us', (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
    'current_lsn', pg_current_wal_lsn(),
    'slot', (
        SELECT jsonb_build_object('slot_name', k.slot_name, 'active', k.active, 'wal_status', k.wal_status,
                   'restart_lsn', k.restart_lsn, 'confirmed_flush_lsn', k.confirmed_flush_lsn, 'current_lsn', pg_current_wal_lsn(),
                   'retained_bytes', pg_wal_lsn_diff(pg_current_wal_lsn(), k.restart_lsn)::bigint,
                   'behind_bytes', pg_wal_lsn_diff(pg_current_wal_lsn(), k.confirmed_flush_lsn)::bigint,
                   'headroom_bytes', k.safe_wal_size)
          FROM pg_replication_slots k WHERE k.slot_name = $4::text AND k.database = current_database()),
    'subscription', (
        SELECT jsonb_build_object('name', s.subname, 'enabled', s.subenabled, 'worker', st.pid IS NOT NULL,
                   'received_lsn', st.received_lsn, 'latest_end_lsn', st.latest_end_lsn, 'applied_lsn', tandem_local.applied_to(),
                   'apply_errors', coalesce(ss.apply_error_count, 0), 'sync_errors', coalesce(ss.sync_error_count, 0),
                   'tables_ready', (SELECT count(*) FROM pg_subscription_rel r WHERE r.srsubid = s.oid AND r.srsubstate = 'r'),
                   'tables_total', (SELECT count(*) FROM pg_subscription_rel r WHERE r.srsubid = s.oid))
          FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
          LEFT JOIN pg_stat_subscription st ON st.subid = s.oid AND st.relid IS NULL
          LEFT JOIN pg_stat_subscription_stats ss ON ss.subid = s.oid
         WHERE s.subname = $3::text AND d.datname = current_database()),
    'heard_us', (SELECT (extract(epoch FROM h.at) * 1000000)::bigint FROM tandem.heartbeat h WHERE h.site = $2::text AND h.seq > 0),
    'guard_ms', (
        SELECT CASE WHEN l.closed OR l.started <> pg_postmaster_start_time() THEN 0
                    ELSE greatest(0, floor(extract(epoch FROM l.expires_at - clock_timestamp()) * 1000)::bigint) END
          FROM tandem_local.lease l WHERE l.site = $1::text))
