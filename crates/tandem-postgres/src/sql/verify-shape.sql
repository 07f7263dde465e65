-- What must be known of tables before their rows are compared, in the shape of verify::catalog::Shape.
-- Readable by every role. $1 schemas and $2 names of the tables, pairwise, $3 the site's subscription
SELECT jsonb_build_object(
    'version', current_setting('server_version_num')::int,
    'encoding', pg_encoding_to_char(d.encoding),
    -- The hash functions on constants: another processor or build that hashes differently must not look like other rows.
    'self_test', (hashtextextended('tandem' COLLATE "C", 1) # hashint4extended(7, 2) # hashint8extended(81985529216486895, 3)
                  # hash_numeric_extended(-1234.5678, 4) # hashfloat8extended(1.5, 5) # hashoidextended(9, 6)
                  # uuid_hash_extended('6b2f4c1e-0000-4000-8000-00000000002a', 7))::text,
    'tables', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
                'schema', n.nspname, 'name', c.relname, 'partitioned', c.relkind = 'p',
                'rows_estimate', (
                    SELECT coalesce(sum(CASE WHEN l.reltuples > 0 AND l.relpages > 0 THEN l.reltuples / l.relpages ELSE 60 END
                                        * pg_relation_size(l.oid) / current_setting('block_size')::float8), 0)::bigint
                      FROM pg_class l
                     WHERE l.oid = c.oid OR l.oid IN (SELECT p.relid FROM pg_partition_tree(c.oid) p WHERE p.isleaf)),
                'copy_state', (
                    SELECT r.srsubstate FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid
                     WHERE s.subname = $3::text AND s.subdbid = d.oid AND r.srrelid = c.oid),
                'columns', (
                    SELECT coalesce(jsonb_agg(jsonb_build_object(
                               'name', a.attname, 'generated', a.attgenerated <> '', 'type', format_type(a.atttypid, -1),
                               'base', CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype = 'b' THEN t.typname ELSE '' END,
                               'sorts', CASE WHEN a.attcollation = 0 THEN '' ELSE (
                                   SELECT CASE WHEN o.provider = 'b' OR (o.provider = 'c' AND o.collate IN ('C', 'POSIX', 'C.UTF-8', 'C.utf8')) THEN 'bytes'
                                               ELSE concat_ws('/', o.provider, o.collate, o.locale, o.version) END
                                     FROM (SELECT CASE WHEN k.collname = 'default' THEN to_jsonb(d) ->> 'datlocprovider' ELSE k.collprovider::text END AS provider,
                                                  CASE WHEN k.collname = 'default' THEN d.datcollate::text ELSE k.collcollate::text END AS collate,
                                                  -- These columns have other names in other releases.
                                                  CASE WHEN k.collname = 'default' THEN coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale')
                                                       ELSE coalesce(to_jsonb(k) ->> 'colllocale', to_jsonb(k) ->> 'colliculocale') END AS locale,
                                                  CASE WHEN k.collname = 'default' THEN to_jsonb(d) ->> 'datcollversion' ELSE k.collversion END AS version) o)
                                        END)), '[]')
                      FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_collation k ON k.oid = a.attcollation
                     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
                -- Each finds one row at most: unique, whole, without expressions and without NULLs; the best first.
                'keys', (
                    SELECT coalesce(jsonb_agg(u.columns ORDER BY u.indisprimary DESC, u.indisreplident DESC, u.indexrelid), '[]')
                      FROM (SELECT i.indexrelid, i.indisprimary, i.indisreplident,
                                   jsonb_agg(a.attname ORDER BY x.place) AS columns
                              FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY x(attnum, place)
                              JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = x.attnum
                             WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
                               AND i.indpred IS NULL AND i.indexprs IS NULL AND x.place <= i.indnkeyatts
                             GROUP BY i.indexrelid, i.indisprimary, i.indisreplident
                            HAVING bool_and(a.attnotnull)) u))), '[]')
          FROM unnest($1::text[], $2::text[]) w(schema, name)
          JOIN pg_namespace n ON n.nspname = w.schema JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name))
  FROM pg_database d WHERE d.datname = current_database()
