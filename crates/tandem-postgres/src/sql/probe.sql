-- What this account may do, asked without doing it: rights, then settings as the provider offers them,
-- then what SQL cannot tell. One row a fact.
SELECT fact, CASE WHEN here THEN 'yes' ELSE 'no' END AS answer FROM (VALUES
    ('decode changes: replication attribute, or membership in rds_replication',
        (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user)
        OR EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_replication' AND pg_has_role(current_user, oid, 'MEMBER'))),
    ('create a subscription: superuser, pg_create_subscription, or the provider''s administrator',
        (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
        OR EXISTS (SELECT FROM pg_roles WHERE rolname IN ('pg_create_subscription', 'rds_superuser', 'cloudsqlsuperuser')
                    AND pg_has_role(current_user, oid, 'MEMBER'))),
    ('create a publication in this database', has_database_privilege(current_database(), 'CREATE')),
    ('create roles', (SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user)),
    ('end sessions of others (pg_signal_backend)', pg_has_role(current_user, 'pg_signal_backend', 'MEMBER')),
    ('see statistics of others (pg_monitor)', pg_has_role(current_user, 'pg_monitor', 'MEMBER')),
    ('read the applied position (pg_show_replication_origin_status)', has_function_privilege('pg_show_replication_origin_status()', 'EXECUTE')),
    ('move an applied position (pg_replication_origin_advance)', has_function_privilege('pg_replication_origin_advance(text, pg_lsn)', 'EXECUTE')),
    ('read a subscription''s connection string', has_column_privilege('pg_subscription', 'subconninfo', 'SELECT')),
    ('switch triggers off (session_replication_role)', has_parameter_privilege('session_replication_role', 'SET'))
) AS probed(fact, here)
UNION ALL
SELECT 'setting ' || wanted.name, coalesce(s.setting || coalesce(' ' || s.unit, '') || ' (' || s.context || ', ' || s.source || ')', 'not offered')
  FROM unnest(ARRAY['wal_receiver_timeout', 'max_slot_wal_keep_size', 'track_commit_timestamp', 'synchronous_standby_names',
                    'rds.logical_replication', 'rds.force_ssl', 'cloudsql.logical_decoding', 'cloudsql.enable_pglogical']) AS wanted(name)
  LEFT JOIN pg_settings s ON s.name = wanted.name
UNION ALL
SELECT fact, 'unverified' FROM unnest(ARRAY[
    'slots survive a failover within the provider (Multi-AZ, regional)',
    'the subscribing server can read an authority''s certificate for verify-full',
    'the subscribing server reaches the other cloud''s private address']) AS fact
