//! Where things stand in the store, and how to reach it from here.

use tandem_core::config::Config;
use tandem_core::model::SiteId;
use tandem_store::{Etcd, Member, Timing, Tls};
use tandem_tls::{Credentials, name_of};

/// The store of `config`'s cluster as seen from `site`: the local member first, then the
/// witness's, which usually leads. With `credentials` by mutual TLS.
pub fn connect(config: &Config, site: SiteId, credentials: Option<&Credentials>) -> Etcd {
    let of = |at: SiteId, url: &str| Member {
        site: at,
        url: url.to_owned(),
    };
    let witness = of(config.witness.name, &config.witness.store);
    let sites = config
        .sites
        .iter()
        .map(|(name, found)| of(*name, &found.store));
    let mut members: Vec<_> = std::iter::once(witness).chain(sites).collect();
    members.sort_by_key(|member| member.site != site);
    let timing = Timing::of_call(config.policy.authority.call_timeout());
    match credentials {
        Some(credentials) => Etcd::secured(members, timing, tls(config, credentials)),
        None => Etcd::new(members, timing),
    }
}

fn tls(config: &Config, credentials: &Credentials) -> Tls {
    let [ca, certificate, key] = credentials.pem().clone();
    Tls {
        ca,
        certificate,
        key,
        suffix: name_of(&config.cluster, ""),
    }
}

/// The keys of one cluster.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    root: String,
}

impl Keys {
    pub(crate) fn of(cluster: &str) -> Self {
        Self {
            root: format!("/tandem/{cluster}"),
        }
    }

    /// The record of the right to write.
    pub(crate) fn authority(&self) -> String {
        format!("{}/authority", self.root)
    }

    /// What all agents publish; `agent` follows.
    pub(crate) fn statuses(&self) -> String {
        format!("{}/status/", self.root)
    }

    /// What `agent` publishes.
    pub(crate) fn status(&self, agent: &str) -> String {
        format!("{}{agent}", self.statuses())
    }

    /// When automatic promotions happened.
    pub(crate) fn promotions(&self) -> String {
        format!("{}/promotions", self.root)
    }

    /// What people asked for: one document, changed by compare-and-set.
    pub(crate) fn requests(&self) -> String {
        format!("{}/requests", self.root)
    }

    /// Which life of each agent may claim; `agent` follows.
    pub(crate) fn incarnations(&self) -> String {
        format!("{}/incarnations/", self.root)
    }

    /// Which life of `agent` may claim.
    pub(crate) fn incarnation(&self, agent: &str) -> String {
        format!("{}{agent}", self.incarnations())
    }

    /// The rings of all agents' decisions.
    pub(crate) fn journals(&self) -> String {
        format!("{}/journal/", self.root)
    }

    /// The ring of `agent`'s decisions; a slot number follows.
    pub(crate) fn journal(&self, agent: &str) -> String {
        format!("{}/journal/{agent}/", self.root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_under_the_cluster() {
        let keys = Keys::of("crm");
        assert_eq!(keys.authority(), "/tandem/crm/authority");
        assert_eq!(keys.status("aws-1"), "/tandem/crm/status/aws-1");
        assert_eq!(keys.journal("aws-1"), "/tandem/crm/journal/aws-1/");
    }
}
