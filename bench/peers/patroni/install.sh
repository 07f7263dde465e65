#!/bin/sh
# Installs the peer of `tandem drill bench failover`: Patroni in a Python
# environment of its own (target/bench/patroni, or $TANDEM_PATRONI), HAProxy and
# Python's venv from the distribution if they are missing. Starts nothing.
#
# Debian's Python is used, because Patroni runs as the user `postgres` when we are
# root, and that user cannot reach a Python below root's home.
set -eu
cd "$(dirname "$0")/../../.."
environment=${TANDEM_PATRONI:-target/bench/patroni}

missing=
[ -x /usr/sbin/haproxy ] || command -v haproxy >/dev/null || missing="$missing haproxy"
/usr/bin/python3 -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv"
if [ -n "$missing" ]; then
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    # 101 forbids every service to start while it is installed.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
        $sudo chmod 755 $policy
        trap '$sudo rm -f $policy' EXIT
    fi
    # shellcheck disable=SC2086  # a list of packages
    $sudo apt-get install -y --no-install-recommends $missing
fi

[ -x "$environment/bin/python" ] || /usr/bin/python3 -m venv "$environment"
"$environment/bin/pip" install --quiet --requirement bench/peers/patroni/requirements.txt
"$environment/bin/patroni" --version
