-- What Tandem has left in one database, in the shape of uninstall::remains::Remains.
-- $1 replicated schemas, $2 agent role, $3 replication role, $4 the comment of roles that setup made
WITH ours AS (
    SELECT oid FROM pg_namespace WHERE nspname IN ('tandem', 'tandem_local')
), here AS (
    SELECT oid FROM pg_database WHERE datname = current_database()
), role AS (
    SELECT r.oid, r.rolname FROM pg_roles r WHERE r.rolname IN ($2::text, $3::text)
), rights AS (
    SELECT a.grantee FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL aclexplode(c.relacl) a WHERE n.nspname = ANY ($1::text[])
    UNION SELECT a.grantee FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) a WHERE n.nspname = ANY ($1::text[])
    UNION SELECT a.grantee FROM pg_default_acl d JOIN pg_namespace n ON n.oid = d.defaclnamespace CROSS JOIN LATERAL aclexplode(d.defaclacl) a WHERE n.nspname = ANY ($1::text[])
), uses AS (
    -- Whatever outside needs something inside. Guards and publications let go by themselves.
    SELECT d.classid, d.objid, d.objsubid FROM pg_depend d
     WHERE d.deptype IN ('n', 'a')
       AND ((d.refclassid = 'pg_proc'::regclass AND d.refobjid IN (SELECT oid FROM pg_proc WHERE pronamespace IN (SELECT oid FROM ours)))
         OR (d.refclassid = 'pg_class'::regclass AND d.refobjid IN (SELECT oid FROM pg_class WHERE relnamespace IN (SELECT oid FROM ours))))
       AND CASE d.classid
           WHEN 'pg_class'::regclass THEN (SELECT relnamespace FROM pg_class WHERE oid = d.objid) NOT IN (SELECT oid FROM ours)
           WHEN 'pg_proc'::regclass THEN (SELECT pronamespace FROM pg_proc WHERE oid = d.objid) NOT IN (SELECT oid FROM ours)
           WHEN 'pg_constraint'::regclass THEN (SELECT connamespace FROM pg_constraint WHERE oid = d.objid) NOT IN (SELECT oid FROM ours)
           WHEN 'pg_attrdef'::regclass THEN (SELECT c.relnamespace FROM pg_attrdef x JOIN pg_class c ON c.oid = x.adrelid WHERE x.oid = d.objid) NOT IN (SELECT oid FROM ours)
           WHEN 'pg_rewrite'::regclass THEN (SELECT c.relnamespace FROM pg_rewrite x JOIN pg_class c ON c.oid = x.ev_class WHERE x.oid = d.objid) NOT IN (SELECT oid FROM ours)
           WHEN 'pg_trigger'::regclass THEN (SELECT t.tgname <> 'tandem_guard' AND c.relnamespace NOT IN (SELECT oid FROM ours)
                                               FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE t.oid = d.objid)
           WHEN 'pg_policy'::regclass THEN true
           ELSE false END
)
SELECT jsonb_build_object(
    'schemas', (SELECT coalesce(jsonb_agg(nspname ORDER BY nspname DESC), '[]') FROM pg_namespace WHERE oid IN (SELECT oid FROM ours)),
    'guards', (
        SELECT coalesce(jsonb_agg(format('%I.%I', n.nspname, c.relname) ORDER BY n.nspname, c.relname), '[]')
          FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
          JOIN pg_proc p ON p.oid = t.tgfoid WHERE t.tgname = 'tandem_guard' AND p.pronamespace IN (SELECT oid FROM ours)),
    'subscriptions', (
        SELECT coalesce(jsonb_object_agg(s.subname, jsonb_build_object('enabled', s.subenabled, 'slot', s.subslotname,
                   'heartbeat', EXISTS (SELECT FROM pg_subscription_rel r JOIN pg_class c ON c.oid = r.srrelid
                                         WHERE r.srsubid = s.oid AND c.relnamespace IN (SELECT oid FROM ours)))), '{}')
          FROM pg_subscription s WHERE s.subdbid = (SELECT oid FROM here)),
    'slots', (SELECT coalesce(jsonb_agg(slot_name), '[]') FROM pg_replication_slots WHERE database = current_database()),
    'publications', (
        SELECT coalesce(jsonb_object_agg(p.pubname, EXISTS (
                   SELECT FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid
                    WHERE r.prpubid = p.oid AND c.relnamespace IN (SELECT oid FROM ours))), '{}') FROM pg_publication p),
    'roles', (
        SELECT coalesce(jsonb_object_agg(r.rolname, jsonb_build_object(
                   'made', coalesce(shobj_description(r.oid, 'pg_authid') = $4::text, false),
                   'rights', EXISTS (SELECT FROM rights WHERE grantee = r.oid))), '{}') FROM role r),
    'uses', (SELECT coalesce(jsonb_agg(DISTINCT pg_describe_object(classid, objid, objsubid)), '[]') FROM uses),
    'strangers', (
        SELECT coalesce(jsonb_agg(format('%I.%I', n.nspname, c.relname) ORDER BY 1), '[]') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.oid IN (SELECT oid FROM ours)
           AND (n.nspname, c.relname) NOT IN (SELECT 'tandem', 'heartbeat' UNION ALL SELECT 'tandem_local', unnest(ARRAY['version', 'lease', 'tx_gate', 'promotion']))
           AND c.relowner NOT IN (SELECT oid FROM role WHERE rolname = $2::text)),
    'agent_sessions', (SELECT count(*) FROM pg_stat_activity WHERE usename = $2::text::name AND datname = current_database() AND pid <> pg_backend_pid()))
