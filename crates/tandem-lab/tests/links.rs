//! Links delay, throttle, stall and reset; every bound asserted is a lower one or a multiple.

use std::time::{Duration, Instant};

use tandem_lab::links::{Census, Cut, Dialer, Forward, Net, Place, Shape};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Long enough for anything that does arrive on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// Long enough to believe that nothing arrives.
const SILENCE: Duration = Duration::from_millis(300);

struct World {
    net: Net,
    link: Forward,
    server: TcpListener,
    here: Place,
    there: Place,
}

impl World {
    async fn new(shape: Shape) -> Self {
        let (here, there) = (
            "here".parse().expect("legal"),
            "there".parse().expect("legal"),
        );
        let net = Net::new(&[here, there], shape, 1);
        let server = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("loopback works");
        let target = server.local_addr().expect("loopback works");
        let link = net
            .forward(Dialer::At(here), there, 0, target)
            .await
            .expect("loopback works");
        Self {
            net,
            link,
            server,
            here,
            there,
        }
    }

    async fn dial(&self) -> TcpStream {
        TcpStream::connect(self.link.address())
            .await
            .expect("loopback works")
    }

    async fn accept(&self) -> TcpStream {
        timeout(PATIENCE, self.server.accept())
            .await
            .expect("a connection arrives")
            .expect("loopback works")
            .0
    }

    fn cut(&self, from: Place, to: Place, cut: Option<Cut>) {
        self.net.wire(from, to).change(|shape| shape.cut = cut);
    }
}

async fn receive(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    timeout(PATIENCE, stream.read_exact(&mut bytes))
        .await
        .expect("bytes arrive")
        .expect("loopback works");
    bytes
}

async fn is_silent(stream: &mut TcpStream) -> bool {
    timeout(SILENCE, stream.read_u8()).await.is_err()
}

#[tokio::test]
async fn delays_are_pipelined_and_keep_order() {
    let delay = Duration::from_millis(200);
    let jitter = Duration::from_millis(50);
    let world = World::new(Shape {
        delay,
        jitter,
        ..Default::default()
    })
    .await;
    let begun = Instant::now();
    let mut client = world.dial().await;
    client.set_nodelay(true).unwrap();
    client.write_all(&[0]).await.unwrap();
    let mut server = world.accept().await;
    receive(&mut server, 1).await;
    // Handshake there and back, then one way.
    assert!(begun.elapsed() >= 3 * (delay - jitter));

    let sent = Instant::now();
    let many: Vec<u8> = (1..=30).collect();
    for byte in &many {
        client.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(receive(&mut server, many.len()).await, many);
    assert!(sent.elapsed() >= delay - jitter);
    assert!(
        sent.elapsed() < 30 * (delay - jitter),
        "one delay for all, not one for each"
    );
}

#[tokio::test]
async fn a_one_way_drop_stalls_one_direction_and_heals() {
    let world = World::new(Shape::default()).await;
    let mut client = world.dial().await;
    client.write_all(b"a").await.unwrap();
    let mut server = world.accept().await;
    receive(&mut server, 1).await;

    world.cut(world.here, world.there, Some(Cut::Drop));
    client.write_all(b"stalled").await.unwrap();
    server.write_all(b"still").await.unwrap();
    assert_eq!(receive(&mut client, 5).await, b"still");
    assert!(is_silent(&mut server).await);

    world.cut(world.here, world.there, None);
    assert_eq!(receive(&mut server, 7).await, b"stalled");
}

#[tokio::test]
async fn through_a_drop_nobody_learns_of_an_end() {
    let world = World::new(Shape::default()).await;
    let mut client = world.dial().await;
    client.write_all(b"a").await.unwrap();
    let mut server = world.accept().await;
    receive(&mut server, 1).await;
    world.cut(world.here, world.there, Some(Cut::Drop));
    drop(client);
    assert!(is_silent(&mut server).await);
    world.cut(world.here, world.there, None);
    let end = timeout(PATIENCE, server.read_u8())
        .await
        .expect("the end arrives");
    assert!(end.is_err());
}

#[tokio::test]
async fn a_new_connection_waits_for_the_heal_unless_its_client_gave_up() {
    let world = World::new(Shape::default()).await;
    world.cut(world.there, world.here, Some(Cut::Drop));
    let mut gone = world.dial().await;
    gone.write_all(b"late").await.unwrap();
    drop(gone);
    let mut patient = world.dial().await;
    patient.write_all(b"patient").await.unwrap();
    assert!(
        timeout(SILENCE, world.server.accept()).await.is_err(),
        "nothing flows"
    );

    world.cut(world.there, world.here, None);
    let mut server = world.accept().await;
    assert_eq!(receive(&mut server, 7).await, b"patient");
}

#[tokio::test]
async fn a_reset_ends_old_and_new_connections() {
    let world = World::new(Shape::default()).await;
    let mut client = world.dial().await;
    client.write_all(b"a").await.unwrap();
    let mut server = world.accept().await;
    receive(&mut server, 1).await;
    world.cut(world.here, world.there, Some(Cut::Reset));
    for stream in [&mut client, &mut server] {
        let read = timeout(PATIENCE, stream.read_u8())
            .await
            .expect("told at once");
        assert_eq!(
            read.unwrap_err().kind(),
            std::io::ErrorKind::ConnectionReset
        );
    }
    let mut refused = world.dial().await;
    let read = timeout(PATIENCE, refused.read_u8())
        .await
        .expect("told at once");
    assert!(read.is_err());
}

#[tokio::test]
async fn a_dead_target_resets() {
    let world = World::new(Shape::default()).await;
    let address = world.link.address();
    drop(world.server);
    let mut client = TcpStream::connect(address).await.unwrap();
    let read = timeout(PATIENCE, client.read_u8())
        .await
        .expect("told at once");
    assert!(read.is_err());
}

#[tokio::test]
async fn a_dialer_is_known_by_its_process() {
    let world = World::new(Shape::default()).await;
    let census = Census::default();
    census.enter(world.here, rustix::process::getpid());
    let target = world.server.local_addr().unwrap();
    let dialer = Dialer::Among(census);
    let link = world.net.forward(dialer, world.there, 0, target);
    let link = link.await.unwrap();

    let mut client = TcpStream::connect(link.address()).await.unwrap();
    client.write_all(b"a").await.unwrap();
    let mut server = world.accept().await;
    receive(&mut server, 1).await;
    world.cut(world.here, world.there, Some(Cut::Drop));
    client.write_all(b"b").await.unwrap();
    assert!(is_silent(&mut server).await, "it rides on our wire");
    world.cut(world.here, world.there, None);
    receive(&mut server, 1).await;
}

#[tokio::test]
async fn capacity_is_shared_and_held() {
    let shape = Shape {
        bytes_per_second: Some(100_000),
        ..Default::default()
    };
    let world = World::new(shape).await;
    let begun = Instant::now();
    let (mut first, mut second) = (world.dial().await, world.dial().await);
    first.write_all(&[1; 20_000]).await.unwrap();
    second.write_all(&[2; 20_000]).await.unwrap();
    let (mut one, mut two) = (world.accept().await, world.accept().await);
    tokio::join!(receive(&mut one, 20_000), receive(&mut two, 20_000));
    assert!(begun.elapsed() >= Duration::from_millis(390));
}

#[tokio::test]
async fn half_closed_connections_still_answer() {
    let world = World::new(Shape::default()).await;
    let mut client = world.dial().await;
    client.write_all(b"ask").await.unwrap();
    client.shutdown().await.unwrap();
    let mut server = world.accept().await;
    let mut asked = Vec::new();
    timeout(PATIENCE, server.read_to_end(&mut asked))
        .await
        .expect("the end arrives")
        .unwrap();
    assert_eq!(asked, b"ask");
    server.write_all(b"answer").await.unwrap();
    drop(server);
    assert_eq!(receive(&mut client, 6).await, b"answer");
}
