-- What Tandem keeps in a database, owned by the agent's role (this script runs
-- under SET ROLE). {{...}} are filled in by setup/script.rs, quoted there.
-- `tandem` is published; `tandem_local` never is, since a right to write that
-- replicates would open the other site too.

CREATE TABLE IF NOT EXISTS tandem.heartbeat (
    site      text PRIMARY KEY,
    epoch     bigint NOT NULL,
    seq       bigint NOT NULL,
    at        timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    lsn       pg_lsn,
    -- {sequence: {last, from, peak}}: last value given out, that value at the start of
    -- the present window, the most given out in any window (a window is one ttl).
    seqs      jsonb NOT NULL DEFAULT '{}',
    window_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);

CREATE TABLE IF NOT EXISTS tandem_local.version (
    fingerprint  text NOT NULL,
    installed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);

-- The guard's lease: it ends by itself, by a restart (`started`), or for good (`closed`).
CREATE TABLE IF NOT EXISTS tandem_local.lease (
    site       text PRIMARY KEY,
    epoch      bigint NOT NULL,
    holder     text NOT NULL,
    expires_at timestamptz NOT NULL,
    started    timestamptz NOT NULL,
    closed     boolean NOT NULL
);
INSERT INTO tandem_local.lease VALUES ({{site}}, 0, '', 'epoch', 'epoch', false) ON CONFLICT DO NOTHING;

-- One row a writing transaction, so that its lease is looked at once more at commit.
CREATE UNLOGGED TABLE IF NOT EXISTS tandem_local.tx_gate (x boolean NOT NULL DEFAULT true);

-- The journal of preparations for opening: what was done for which epoch.
CREATE TABLE IF NOT EXISTS tandem_local.promotion (
    epoch        bigint PRIMARY KEY,
    from_site    text NOT NULL,
    begun_at     timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    boundary     pg_lsn,
    boundary_at  timestamptz,
    sequences_at timestamptz,
    slot_at      timestamptz,
    prepared_at  timestamptz
);

-- The ledger: what the failed primary had committed and this site never got. Written in
-- one transaction, so that a ledger that exists is whole. `problem` says why one could
-- not be made: then only a full copy brings the other site back.
CREATE TABLE IF NOT EXISTS tandem_local.ledger (
    epoch        bigint PRIMARY KEY,
    from_site    text NOT NULL,
    boundary     pg_lsn NOT NULL,
    upto         pg_lsn,
    transactions bigint NOT NULL DEFAULT 0,
    changes      bigint NOT NULL DEFAULT 0,
    problem      text,
    collected_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    erased_at    timestamptz,
    erased_by    text
);
CREATE TABLE IF NOT EXISTS tandem_local.ledger_change (
    epoch        bigint NOT NULL REFERENCES tandem_local.ledger ON DELETE CASCADE,
    n            bigint NOT NULL,
    xid          bigint NOT NULL,
    commit_end   pg_lsn NOT NULL,
    committed_at timestamptz NOT NULL,
    class        text NOT NULL,
    change       jsonb NOT NULL,
    PRIMARY KEY (epoch, n)
);

-- The journal of this site's way back, by the epoch for which the other site was prepared.
CREATE TABLE IF NOT EXISTS tandem_local.reinstatement (
    epoch       bigint PRIMARY KEY,
    begun_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    lost        bigint,
    repaired_at timestamptz,
    followed_at timestamptz,
    done_at     timestamptz
);

CREATE OR REPLACE FUNCTION tandem_local.site() RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT {{site}}::text $$;

-- `site/epoch` of the present lease: who acknowledges a row that is written now.
CREATE OR REPLACE FUNCTION tandem_local.origin() RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT l.site || '/' || l.epoch FROM tandem_local.lease l WHERE l.site = {{site}} $$;

-- Volatile on purpose: at commit it must see the lease as it is then. SECURITY DEFINER,
-- since cascades run as the owner of the table, who has no rights here.
CREATE OR REPLACE FUNCTION tandem_local.guard() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ends timestamptz;
    own text;
BEGIN
    SELECT l.expires_at INTO ends FROM tandem_local.lease l
     WHERE l.site = {{site}} AND NOT l.closed AND l.started = pg_postmaster_start_time();
    IF ends IS NULL OR clock_timestamp() >= ends THEN
        RAISE EXCEPTION 'tandem: site % has no right to write', {{site}}
            USING ERRCODE = 'read_only_sql_transaction', HINT = 'Connect through the gate; it knows the site that may write.';
    END IF;
    IF TG_NARGS > 0 THEN
        own := pg_current_xact_id()::text;
        IF current_setting('tandem.gate', true) IS DISTINCT FROM own THEN
            INSERT INTO tandem_local.tx_gate DEFAULT VALUES;
            PERFORM set_config('tandem.gate', own, true);
        END IF;
    END IF;
    RETURN NULL;
END $$;

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger
                    WHERE tgrelid = 'tandem_local.tx_gate'::regclass AND tgname = 'at_commit') THEN
        CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON tandem_local.tx_gate
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tandem_local.guard();
    END IF;
END $$;

REVOKE ALL ON FUNCTION tandem_local.site(), tandem_local.origin(), tandem_local.guard() FROM PUBLIC;
GRANT USAGE ON SCHEMA tandem_local TO {{application_role}};
GRANT EXECUTE ON FUNCTION tandem_local.site(), tandem_local.origin() TO {{application_role}}, {{owner_role}};
GRANT USAGE ON SCHEMA tandem_local TO {{owner_role}};
GRANT USAGE ON SCHEMA tandem TO {{replication_role}};
GRANT SELECT ON tandem.heartbeat TO {{replication_role}};
-- The doctor asks with no more than this.
GRANT USAGE ON SCHEMA tandem, tandem_local TO pg_monitor;
GRANT SELECT ON tandem_local.version, tandem_local.promotion, tandem_local.ledger, tandem_local.reinstatement,
    tandem.heartbeat TO pg_monitor;
DELETE FROM tandem_local.version;
INSERT INTO tandem_local.version (fingerprint) VALUES ({{fingerprint}});
