-- Writes this site's heartbeat with the newest values of its sequences, and empties
-- the commit gate's table. $1 this site, $2 epoch, $3 replicated schemas, $4 ttl in seconds
WITH swept AS (
    DELETE FROM tandem_local.tx_gate
), old AS (
    SELECT h.seqs, clock_timestamp() - h.window_at >= make_interval(secs => $4::float8) AS full_window
      FROM tandem.heartbeat h WHERE h.site = $1::text
), issued AS (
    SELECT format('%I.%I', s.schemaname, s.sequencename) AS name, s.last_value AS last,
           CASE WHEN o.was IS NULL THEN s.last_value  -- seen for the first time
                ELSE coalesce((o.was ->> CASE WHEN old.full_window THEN 'last' ELSE 'from' END)::bigint,
                              s.start_value - s.increment_by) END AS begin,
           coalesce((o.was ->> 'peak')::bigint, 0) AS peak
      FROM pg_sequences s CROSS JOIN old
      CROSS JOIN LATERAL (SELECT old.seqs -> format('%I.%I', s.schemaname, s.sequencename) AS was) o
     WHERE s.schemaname = ANY ($3::text[])
)
UPDATE tandem.heartbeat h
   SET epoch = $2::bigint, seq = h.seq + 1, at = clock_timestamp(), lsn = pg_current_wal_insert_lsn(),
       window_at = CASE WHEN old.full_window THEN clock_timestamp() ELSE h.window_at END,
       seqs = coalesce((SELECT jsonb_object_agg(i.name, jsonb_build_object(
                  'last', i.last, 'from', i.begin, 'peak', greatest(i.peak, abs(i.last - i.begin)))) FROM issued i), '{}')
  FROM old
 WHERE h.site = $1::text AND h.epoch <= $2::bigint
RETURNING h.seq
