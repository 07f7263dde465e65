//! The way up: in stages, from a prepared copy if there is one.

use std::sync::Arc;

use futures_util::future::try_join_all;

use super::layout::{AgentPorts, outside, place};
use super::prepare::{self, caught_up};
use super::template::Template;
use super::unit::{Body, Kind, Own, STAGES, Slot, Unit};
use super::{Lab, files, ready, strike_units};
use crate::certificates::Authority;
use crate::control::with_causes;
use crate::links::Place;
use crate::process::{Launch, Process};
use crate::servers::{Etcd, EtcdOptions, Postgres, PostgresOptions, Redis, RedisOptions};
use crate::{Error, Result};

impl Lab {
    /// From empty folders to a service that can be used.
    pub(super) async fn bring_up(&mut self) -> Result<()> {
        let versions = self.programs.versions.join(", ");
        let (first, last) = (self.layout.base_port, self.layout.end_port - 1);
        self.say(&format!(
            "{versions}; network: {}; ports {first} to {last}; {}",
            self.layout.network,
            self.layout.folder.display()
        ));
        self.layout.make_folders()?;
        let template = Template::of(&self.layout, &self.programs);
        match template {
            Some(template) if template.exists() => {
                self.say("starting databases, caches and etcd from a prepared copy");
                template.restore(&self.layout).await?;
                self.layout.write_configs()?;
                self.start_servers(None).await?;
            }
            template => self.furnish(template).await?,
        }
        self.start_our_own().await?;
        self.wait_until_ready().await
    }

    /// The long way: new databases, and a copy of them for the next time.
    async fn furnish(&mut self, template: Option<Template>) -> Result<()> {
        self.layout.write_secrets()?;
        prepare::token(&self.layout, &self.programs).await?;
        self.layout.write_configs()?;
        let authority = Arc::new(Authority::new()?);
        authority.write(&self.layout.file("ca.crt"))?;
        self.say("starting two PostgreSQL, two Redis and three etcd (new databases, the first time only)");
        self.start_servers(Some(authority)).await?;
        self.set_up_replication().await?;
        let Some(template) = template else {
            return Ok(());
        };
        self.say("keeping a prepared copy, so that the next start takes seconds");
        self.stop_servers().await?;
        if let Err(error) = template.keep(&self.layout).await {
            // The lab is as good without one.
            self.say(&format!(
                "no prepared copy is kept: {}",
                with_causes(&error)
            ));
        }
        try_join_all(self.units.values().map(|unit| self.start_unit(unit))).await?;
        self.etcd_healthy().await
    }

    /// Databases, caches and stores, all at once.
    async fn start_servers(&mut self, authority: Option<Arc<Authority>>) -> Result<()> {
        self.start_stage(STAGES[0], authority).await?;
        self.etcd_healthy().await
    }

    /// Waits for a majority, then brings the leader to the witness.
    async fn etcd_healthy(&self) -> Result<()> {
        self.say("waiting for etcd: three members elect a leader, which moves to the witness");
        ready::witness_leads(&self.layout).await
    }

    async fn set_up_replication(&self) -> Result<()> {
        self.say("creating roles, database and tables on both sides");
        let password = self.layout.secret("application")?;
        let [aws, gcp] = [self.postgres("aws").await?, self.postgres("gcp").await?];
        let (aws, gcp) = (aws.server()?, gcp.server()?);
        tokio::try_join!(
            prepare::schema(aws, &password),
            prepare::schema(gcp, &password)
        )?;
        self.say("setting up replication from aws to gcp, and the authority record");
        prepare::replication(&self.layout, &self.programs, aws, gcp).await
    }

    /// Databases cleanly, the replica first, since the primary waits for what it still takes.
    /// Stores at once: everything they said is on their disk already, and a leader that is asked
    /// to stop waits for a successor among members that are stopping too.
    async fn stop_servers(&self) -> Result<()> {
        for name in ["gcp.postgres", "aws.postgres"] {
            self.stop_process(name).await?;
        }
        let stores = |unit: &&Arc<Unit>| unit.slot.kind == Kind::Store;
        strike_units(
            &self
                .units
                .values()
                .filter(stores)
                .cloned()
                .collect::<Vec<_>>(),
        )
        .await
    }

    async fn start_our_own(&mut self) -> Result<()> {
        let told = [
            "starting five agents: two in each site, one at the witness",
            "starting four gates",
            "starting the application twice in each site, and the edge",
        ];
        for (stage, line) in STAGES[1..].iter().zip(told) {
            self.say(line);
            self.start_stage(stage, None).await?;
        }
        Ok(())
    }

    async fn wait_until_ready(&self) -> Result<()> {
        let ttl = self.layout.config(place("aws")).policy.authority.ttl_ms / 1_000;
        self.say(&format!(
            "waiting for aws to open for writes: agents watch for one ttl ({ttl} s) first"
        ));
        ready::open_for_writes(&self.layout).await?;
        self.say(
            "waiting for write sessions through every gate, and for both clouds behind the edge",
        );
        ready::writes_pass(&self.layout).await?;
        ready::edge_serves(&self.layout).await?;
        self.say("waiting for replication to catch up");
        caught_up(self.postgres("aws").await?.server()?).await?;
        self.say(&format!(
            "ready: {}",
            self.layout.url(outside(), self.layout.edge)
        ));
        Ok(())
    }

    pub(super) fn say(&self, line: &str) {
        (self.options.progress)(line);
    }

    async fn start_stage(
        &mut self,
        stage: &[Kind],
        authority: Option<Arc<Authority>>,
    ) -> Result<()> {
        let slots = self
            .layout
            .slots()
            .into_iter()
            .filter(|slot| stage.contains(&slot.kind));
        let this = &*self;
        let started = slots.map(|slot| this.first_start(slot, authority.clone()));
        let units = try_join_all(started).await?;
        self.units.extend(
            units
                .into_iter()
                .map(|unit| (unit.slot.name.clone(), Arc::new(unit))),
        );
        Ok(())
    }

    async fn first_start(&self, slot: Slot, authority: Option<Arc<Authority>>) -> Result<Unit> {
        let body = self.build(&slot, authority).await?;
        self.note(slot.at, slot.kind, body.process())?;
        Ok(Unit {
            slot,
            body: Arc::new(body.into()),
        })
    }

    /// Puts a started process on the roster, and a store's on the census of peers.
    pub(super) fn note(&self, at: Place, kind: Kind, process: &Process) -> Result<()> {
        if kind == Kind::Store {
            self.network.hear_of_store(at, process);
        }
        self.roster.enter(process.name(), &process.family())
    }

    async fn build(&self, slot: &Slot, authority: Option<Arc<Authority>>) -> Result<Body> {
        match slot.kind {
            Kind::Postgres => self
                .start_postgres(slot, authority)
                .await
                .map(Body::Postgres),
            Kind::Redis => self.start_redis(slot).await.map(Body::Redis),
            Kind::Store => self.start_etcd(slot).await.map(Body::Etcd),
            Kind::Agent => self.start_agent(slot).await.map(Body::Own),
            Kind::Gate => self.start_gate(slot).await.map(Body::Own),
            Kind::Crm => self.start_crm(slot).await.map(Body::Own),
            Kind::Edge => self.start_edge(slot).await.map(Body::Own),
        }
    }

    async fn start_postgres(
        &self,
        slot: &Slot,
        authority: Option<Arc<Authority>>,
    ) -> Result<Postgres> {
        Postgres::start(PostgresOptions {
            name: Some(slot.name.clone()),
            folder: Some(self.layout.file(format!("{}/postgres", slot.at))),
            port: Some(self.layout.sites[&slot.at].postgres.port),
            log: Some(self.layout.log(&slot.name)),
            authority,
            host: Some(files::postgres_host(slot.at)),
            settings: Vec::new(),
            on: self.layout.host(slot.at),
        })
        .await
    }

    async fn start_redis(&self, slot: &Slot) -> Result<Redis> {
        Redis::start(RedisOptions {
            name: Some(slot.name.clone()),
            folder: Some(self.layout.file(format!("{}/redis", slot.at))),
            port: Some(self.layout.sites[&slot.at].redis),
            log: Some(self.layout.log(&slot.name)),
            on: self.layout.host(slot.at),
        })
        .await
    }

    async fn start_etcd(&self, slot: &Slot) -> Result<Etcd> {
        let ports = self.layout.store(slot.at);
        let layout = &self.layout;
        let cluster = layout
            .members()
            .map(|member| (member.to_string(), layout.advertised_peer(member)));
        Etcd::launch(EtcdOptions {
            name: Some(slot.name.clone()),
            member: Some(slot.at.to_string()),
            folder: Some(self.layout.file(format!("{}/etcd", slot.at))),
            data: Some(self.layout.memory.join(format!("{}.etcd", slot.at))),
            port: Some(ports.client.port),
            peer_port: Some(ports.peer),
            advertised_peer: Some(layout.advertised_peer(slot.at)),
            cluster: cluster.collect(),
            log: Some(self.layout.log(&slot.name)),
            on: layout.host(slot.at),
        })
        .await
    }

    async fn start_agent(&self, slot: &Slot) -> Result<Own> {
        let ports: &AgentPorts = match self.layout.sites.get(&slot.at) {
            Some(site) => &site.agents[slot.index],
            None => &self.layout.witness_agent,
        };
        let mut launch = self.launch(slot, &self.programs.tandem);
        launch.args = vec!["agent".into()];
        launch.args.extend(self.standing(slot, &ports.name));
        Own::start(launch, ports.api.port).await
    }

    async fn start_gate(&self, slot: &Slot) -> Result<Own> {
        let ports = &self.layout.sites[&slot.at].gates[slot.index];
        let mut launch = self.launch(slot, &self.programs.gate);
        launch.args = self.standing(slot, &ports.name).into();
        Own::start(launch, ports.admin.port).await
    }

    async fn start_crm(&self, slot: &Slot) -> Result<Own> {
        let mut launch = self.launch(slot, &self.programs.crm);
        launch
            .env
            .extend(self.layout.crm_environment(slot.at, slot.index)?);
        Own::start(launch, self.layout.sites[&slot.at].crms[slot.index].port).await
    }

    async fn start_edge(&self, slot: &Slot) -> Result<Own> {
        let mut launch = self.launch(slot, &self.programs.edge);
        let config = self.layout.file("outside/edge.json").display().to_string();
        launch.args = vec!["--config".into(), config];
        Own::start(launch, self.layout.edge_admin).await
    }

    fn launch(&self, slot: &Slot, program: &std::path::Path) -> Launch {
        Launch {
            name: slot.name.clone(),
            program: program.to_path_buf(),
            args: Vec::new(),
            env: Vec::new(),
            folder: self.layout.file(slot.at.as_str()),
            log: self.layout.log(&slot.name),
            user: None,
            on: self.layout.host(slot.at),
        }
    }

    /// The arguments that say which configuration, site and name.
    fn standing(&self, slot: &Slot, name: &str) -> [String; 6] {
        let config = self.layout.config_file(slot.at).display().to_string();
        [
            "--config".into(),
            config,
            "--site".into(),
            slot.at.to_string(),
            "--name".into(),
            name.into(),
        ]
    }

    async fn postgres(&self, site: &str) -> Result<Held> {
        let unit = self.unit(&format!("{site}.postgres"))?;
        Ok(Held(
            tokio::sync::Mutex::lock_owned(Arc::clone(&unit.body)).await,
        ))
    }
}

/// A database that nobody else starts or stops meanwhile.
struct Held(tokio::sync::OwnedMutexGuard<Body>);

impl Held {
    fn server(&self) -> Result<&Postgres> {
        match &*self.0 {
            Body::Postgres(server) => Ok(server),
            _ => Err(Error::Refused(vec!["this process is no PostgreSQL".into()])),
        }
    }
}
