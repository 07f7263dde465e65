#!/usr/bin/env python3
"""One failover of Patroni + etcd + HAProxy, measured as ours is: from kill -9 of
the primary (PostgreSQL and Patroni) to the first write that succeeds through
HAProxy, tried by a client every 50 ms.

Everything runs on loopback, on free ports, in a temporary folder, and dies with
this script. The result is one line of JSON on standard output; progress goes to
standard error. Run it with the Python of the environment that has Patroni.
"""

import argparse
import ctypes
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import psycopg2

PROFILES = {
    # Patroni's smallest ttl, with its own relation loop_wait + 2 * retry_timeout <= ttl.
    "ttl=20": {"ttl": 20, "loop_wait": 5, "retry_timeout": 5},
    "default": {"ttl": 30, "loop_wait": 10, "retry_timeout": 10},
}
START_BOUND = 120.0
FAILOVER_BOUND = 180.0
TRY_EVERY = 0.05
BEFORE = 3.0
PASSWORD = "lab-only-" + os.urandom(8).hex()


def say(text):
    print(f"patroni: {text}", file=sys.stderr, flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def find(program, *folders):
    found = shutil.which(program, path=os.pathsep.join([*folders, os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))
    if not found:
        raise SystemExit(f"no `{program}` found; run bench/peers/patroni/install.sh")
    return found


def postgres_folder():
    """The newest PostgreSQL's folder of binaries, as the lab chooses it."""
    versions = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if versions:
        return str(versions[-1].parent)
    return str(pathlib.Path(find("initdb")).resolve().parent)


def die_with_parent():
    """SIGKILL for the child when this script ends in whatever way."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Cluster:
    def __init__(self, folder, profile):
        self.folder = pathlib.Path(folder)
        self.profile = profile
        self.children = {}
        self.user = "postgres" if os.geteuid() == 0 else None
        self.etcd_port = free_port()
        self.peer_port = free_port()
        self.proxy_port = free_port()
        self.nodes = [{"name": f"node{i}", "pg": free_port(), "rest": free_port()} for i in (1, 2)]

    def start(self, name, command, env=None, user=None):
        log = open(self.folder / f"{name}.log", "ab")
        extra = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
        self.children[name] = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
            env={**os.environ, **(env or {})}, preexec_fn=die_with_parent, start_new_session=True, **extra)

    def up(self):
        self.start("etcd", [find("etcd"), "--data-dir", str(self.folder / "etcd"), "--name", "e",
            "--listen-client-urls", f"http://127.0.0.1:{self.etcd_port}",
            "--advertise-client-urls", f"http://127.0.0.1:{self.etcd_port}",
            "--listen-peer-urls", f"http://127.0.0.1:{self.peer_port}",
            "--initial-advertise-peer-urls", f"http://127.0.0.1:{self.peer_port}",
            "--initial-cluster", f"e=http://127.0.0.1:{self.peer_port}"])
        self.wait("etcd", lambda: urllib.request.urlopen(f"http://127.0.0.1:{self.etcd_port}/health", timeout=1).status == 200)
        for node in self.nodes:
            self.start_node(node)
            self.wait(node["name"], lambda node=node: self.is_running(node))
        self.start_proxy()
        self.wait("a streaming replica", lambda: len(self.replicas()) == 1)

    def start_node(self, node):
        path = self.folder / f"{node['name']}.json"
        data = self.folder / node["name"]
        data.mkdir(mode=0o700)
        path.write_text(json.dumps(self.settings(node, str(data / "data"))))
        path.chmod(0o600)
        if self.user:
            for owned in (data, path):
                shutil.chown(owned, self.user)
        patroni = pathlib.Path(sys.executable).parent / "patroni"
        self.start(node["name"], [sys.executable, str(patroni), str(path)], user=self.user)

    def settings(self, node, data):
        dcs = {**self.profile, "maximum_lag_on_failover": 1048576,
               "postgresql": {"use_pg_rewind": True, "parameters": {"wal_level": "replica", "max_connections": 60, "shared_buffers": "32MB"}}}
        return {
            "scope": "peer", "name": node["name"],
            "restapi": {"listen": f"127.0.0.1:{node['rest']}", "connect_address": f"127.0.0.1:{node['rest']}"},
            "etcd3": {"host": f"127.0.0.1:{self.etcd_port}"},
            "bootstrap": {"dcs": dcs, "initdb": [{"encoding": "UTF8"}, "data-checksums"]},
            "postgresql": {
                "listen": f"127.0.0.1:{node['pg']}", "connect_address": f"127.0.0.1:{node['pg']}",
                "data_dir": data, "bin_dir": postgres_folder(), "pgpass": data + ".pgpass",
                "authentication": {"superuser": {"username": "postgres", "password": PASSWORD},
                                   "replication": {"username": "replicator", "password": PASSWORD}},
                "parameters": {"unix_socket_directories": str(pathlib.Path(data).parent)},
                "pg_hba": ["host replication replicator 127.0.0.1/32 scram-sha-256", "host all all 127.0.0.1/32 scram-sha-256", "local all all scram-sha-256"],
            },
        }

    def start_proxy(self):
        servers = "\n".join(f"  server {n['name']} 127.0.0.1:{n['pg']} maxconn 100 check port {n['rest']}" for n in self.nodes)
        config = self.folder / "haproxy.cfg"
        # As in Patroni's own haproxy.cfg, with a check every second.
        config.write_text(f"""global
  maxconn 200
defaults
  mode tcp
  retries 2
  timeout client 30m
  timeout connect 4s
  timeout server 30m
  timeout check 2s
listen primary
  bind 127.0.0.1:{self.proxy_port}
  option httpchk OPTIONS /primary
  http-check expect status 200
  default-server inter 1s fall 3 rise 2 on-marked-down shutdown-sessions
{servers}
""")
        self.start("haproxy", [find("haproxy"), "-db", "-f", str(config)])

    def is_running(self, node):
        answer = urllib.request.urlopen(f"http://127.0.0.1:{node['rest']}/patroni", timeout=1)
        return json.load(answer)["state"] == "running"

    def role(self, node, path):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{node['rest']}/{path}", timeout=1).status == 200
        except (OSError, urllib.error.HTTPError):
            return False

    def primary(self):
        return next((node for node in self.nodes if self.role(node, "primary")), None)

    def replicas(self):
        return [node for node in self.nodes if self.role(node, "replica?lag=1MB")]

    def wait(self, what, holds):
        deadline = time.monotonic() + START_BOUND
        while time.monotonic() < deadline:
            for name, child in self.children.items():
                if child.poll() is not None:
                    raise SystemExit(f"{name} ended ({child.returncode}):\n{self.tail(name)}")
            try:
                if holds():
                    say(f"{what} is up")
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise SystemExit(f"no {what} within {START_BOUND:.0f} s")

    def tail(self, name):
        lines = (self.folder / f"{name}.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-12:])

    def family(self, pid):
        """The process and its descendants; PostgreSQL gives backends sessions of their own."""
        listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        parents = [tuple(map(int, line.split())) for line in listed.splitlines()]
        found = [pid]
        for candidate in found:
            found.extend(child for child, parent in parents if parent == candidate)
        return found

    def kill(self, name):
        child = self.children.pop(name)
        if child.poll() is None:
            for pid in self.family(child.pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        child.wait()

    def kill_node(self, node):
        """Patroni, and the PostgreSQL that it started (which is no child of it after a restart)."""
        pid_file = self.folder / node["name"] / "data" / "postmaster.pid"
        try:
            postmaster = int(pid_file.read_text().split()[0])
            family = self.family(postmaster)
        except (FileNotFoundError, IndexError, ValueError):
            family = []
        if node["name"] in self.children:
            self.kill(node["name"])
        for pid in family:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def down(self):
        for node in self.nodes:
            self.kill_node(node)
        for name in list(self.children):
            self.kill(name)


class Writer(threading.Thread):
    """Tries a write every 50 ms, each on a connection of its own; open loop is
    kept by giving every try a thread, so that a hanging one delays no other."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.dsn = f"host=127.0.0.1 port={port} user=postgres password={PASSWORD} dbname=postgres connect_timeout=2"
        self.done = threading.Event()
        self.lock = threading.Lock()
        self.results = []

    def attempt(self, number):
        sent = time.monotonic()
        try:
            connection = psycopg2.connect(self.dsn + " options='-c statement_timeout=2000'")
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO peer(number) VALUES (%s)", (number,))
            connection.close()
            good = True
        except psycopg2.Error:
            good = False
        with self.lock:
            self.results.append((number, sent, time.monotonic(), good))

    def run(self):
        number = 0
        begun = time.monotonic()
        while not self.done.is_set():
            number += 1
            threading.Thread(target=self.attempt, args=(number,), daemon=True).start()
            self.done.wait(max(0.0, begun + number * TRY_EVERY - time.monotonic()))

    def first_success_after(self, killed):
        with self.lock:
            return min((ended for _, sent, ended, good in self.results if good and sent > killed), default=None)

    def failed_before(self, killed):
        with self.lock:
            return sum(1 for _, _, ended, good in self.results if not good and ended < killed)


def measure(profile):
    folder = tempfile.mkdtemp(prefix="tandem-peer-")
    os.chmod(folder, 0o711)
    cluster = Cluster(folder, PROFILES[profile])
    try:
        cluster.up()
        primary = cluster.primary()
        connection = psycopg2.connect(f"host=127.0.0.1 port={primary['pg']} user=postgres password={PASSWORD} dbname=postgres")
        connection.autocommit = True
        connection.cursor().execute("CREATE TABLE peer(number bigint PRIMARY KEY, at timestamptz DEFAULT now())")
        connection.close()
        cluster.wait("the way through HAProxy", lambda: through(cluster.proxy_port))
        writer = Writer(cluster.proxy_port)
        writer.start()
        time.sleep(BEFORE)
        # The kill falls anywhere in Patroni's loop.
        time.sleep(int.from_bytes(os.urandom(2), "big") / 65536 * cluster.profile["loop_wait"])
        say(f"kill -9 of {primary['name']}")
        killed = time.monotonic()
        cluster.kill_node(primary)
        deadline = killed + FAILOVER_BOUND
        while time.monotonic() < deadline and writer.first_success_after(killed + 0.2) is None:
            time.sleep(0.05)
        writer.done.set()
        recovered = writer.first_success_after(killed + 0.2)
        if recovered is None:
            for name in cluster.children:
                say(f"the end of {name}'s log:\n{cluster.tail(name)}")
            raise SystemExit(f"no write within {FAILOVER_BOUND:.0f} s")
        if writer.failed_before(killed):
            raise SystemExit("writes failed before the kill")
        return {"peer": f"patroni {profile}", "write_rto_s": round(recovered - killed, 3)}
    finally:
        cluster.down()
        shutil.rmtree(folder, ignore_errors=True)


def through(port):
    """HAProxy begins by believing both servers: wait until it sends nobody to the replica."""
    try:
        return all(writable(port) for _ in range(8))
    except psycopg2.Error:
        return False


def writable(port):
    connection = psycopg2.connect(f"host=127.0.0.1 port={port} user=postgres password={PASSWORD} dbname=postgres connect_timeout=1")
    with connection.cursor() as cursor:
        cursor.execute("SELECT NOT pg_is_in_recovery()")
        answer = cursor.fetchone()[0]
    connection.close()
    return answer


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", choices=sorted(PROFILES), default="ttl=20")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(json.dumps(measure(parser.parse_args().profile)), flush=True)


if __name__ == "__main__":
    main()
