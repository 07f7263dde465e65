-- The shape of the replicated tables: what replication maps by, exactly the parts of
-- observe.sql's schema_hash, in the shape of schema::shape::Shape. $1 replicated schemas
SELECT jsonb_build_object(
    'columns', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('schema', n.nspname, 'table', c.relname, 'column', a.attname,
                   'kind', format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull, 'generated', a.attgenerated <> '',
                   'fills_itself', a.atthasdef OR a.attidentity <> '')), '[]')
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE n.nspname = ANY ($1::text[]) AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
           AND a.attnum > 0 AND NOT a.attisdropped),
    'keys', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('schema', n.nspname, 'table', c.relname, 'name', x.relname, 'identity', c.relreplident,
                   'columns', (SELECT jsonb_agg(k.attname ORDER BY k.attnum) FROM pg_attribute k WHERE k.attrelid = i.indexrelid))), '[]')
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_index i ON i.indrelid = c.oid
          JOIN pg_class x ON x.oid = i.indexrelid
         WHERE n.nspname = ANY ($1::text[]) AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
           AND (i.indisreplident OR (c.relreplident = 'd' AND i.indisprimary))),
    'indexes', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('schema', n.nspname, 'name', c.relname, 'valid', i.indisvalid)), '[]')
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_index i ON i.indexrelid = c.oid
         WHERE n.nspname = ANY ($1::text[])))
