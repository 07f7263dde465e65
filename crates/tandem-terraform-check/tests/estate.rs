//! A whole apply and destroy of the real environments through all phases, killed and resumed.
//!
//! Terraform and the code are real, the clouds are the served schemas; the online probes and
//! replication are doubles, the same as in the tests of the phases with small roots.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests stop the test, as the tests do"
)]

#[path = "../../tandem-infra/tests/phases/driver.rs"]
mod driver;
#[path = "../../tandem-infra/tests/phases/world.rs"]
mod world;

use std::fs;

use tandem_infra::keys;
use tandem_infra::phases::Root;
use tandem_terraform_check::harness;
use tandem_terraform_check::server::Providers;
use tandem_terraform_check::terraform;
use world::World;

#[test]
fn driver_process() {
    world::live_as_driver();
}

/// The tree with the values of its examples, providers of its own and states on disk.
fn estate() -> World {
    let tree = terraform::repository().join("terraform");
    let folder = tempfile::tempdir().unwrap();
    harness::copy(&tree, folder.path()).unwrap();
    let roots = Root::ALL.map(|root| format!("environments/{}", root.folder()));
    for root in &roots {
        let root = folder.path().join(root);
        let example = root.join("terraform.tfvars.example");
        fs::copy(example, root.join("terraform.tfvars")).unwrap();
        harness::local_backend(&root).unwrap();
    }
    let providers = Providers::start().unwrap();
    let environment = providers.environment();
    World::new(folder, roots.to_vec(), environment, move |_| {
        providers.deeds()
    })
}

#[test]
fn the_real_environments_survive_twenty_kills() {
    if std::env::var_os("WHOLE_ESTATE").is_none() {
        println!("skipped: takes minutes; `make test-estate` sets WHOLE_ESTATE=1");
        return;
    }
    let (calm, killed) = (estate(), estate());
    // Invented addresses depend on the configuration, so that both worlds need the same keys.
    for world in [&calm, &killed] {
        keys::ensure(&world.path("keys"), 2).unwrap();
    }
    for tunnel in 1..=2 {
        let from = keys::file_of(&calm.path("keys"), tunnel);
        fs::copy(from, keys::file_of(&killed.path("keys"), tunnel)).unwrap();
    }
    world::twenty_kills_change_nothing(&calm, &killed);
}
