-- How far a replica is. $1 its subscription
-- `received` counts on an idle primary: a worker answers the publisher's keepalive only between transactions, so that
-- everything before it is committed here. `applied` counts under load, when keepalives are rare.
SELECT tandem_local.applied_to()::text,
       (SELECT max(w.latest_end_lsn)::text FROM pg_stat_subscription w
         WHERE w.subname = $1::text AND w.relid IS NULL AND w.pid IS NOT NULL AND to_jsonb(w) ->> 'leader_pid' IS NULL)
