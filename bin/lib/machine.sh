# shellcheck shell=bash
# What bin/install and bin/test share: saying what is done, packages, Node, Docker. Sourced by bash; needs root.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
node_version=24.21.0
log_file=${log_file:-/tmp/forge-install.log}

say() { printf -- '-----> %s\n' "$*"; }
body() { printf '       %s\n' "$*"; }
# A step that failed has said so itself and ends with this status.
said=3
fail() { # what and why; what to do next
  printf ' !     %s\n' "$1" >&2
  [ -n "${2:-}" ] && printf ' !     %s\n' "$2" >&2
  exit "$said"
}

# Whatever else ends the script is said here, so that it never stops without a word.
# A function to call then, named by whoever has something to tidy up.
on_exit=''
set -E
trap 'last_error="$BASH_COMMAND (${BASH_SOURCE[0]##*/}, line $LINENO)"' ERR
trap 'at_exit $?' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
at_exit() { # status
  trap - EXIT
  [ -z "$on_exit" ] || "$on_exit"
  case $1 in
    0) ;;
    "$said") exit 1 ;;
    130 | 143) printf ' !     Stopped. Run this again: it goes on where it stopped.\n' >&2 ;;
    *)
      printf ' !     Stopped with status %s at: %s\n' "$1" "${last_error:-an unknown place}" >&2
      printf ' !     The output of the steps is in %s. Run this script again once it is mended: it goes on where it stopped.\n' "$log_file" >&2
      ;;
  esac
  exit "$1"
}

# Runs a command with its output in the log; on failure shows the end of it and says what to do.
quietly() { # description, command…
  local what=$1
  shift
  if ! "$@" >>"$log_file" 2>&1; then
    tail -n 20 "$log_file" | sed 's/^/       /' >&2
    fail "$what failed: $*" "The whole output is in $log_file. Run this script again once it is mended: it goes on where it stopped."
  fi
}

need_root() { [ "$(id -u)" = 0 ] || fail "this needs root" "run it as: sudo $0 $*"; }

# One run at a time. The lock lives as long as this script and what it started in the foreground: a run that was killed
# leaves its last step running, and the next one must not work beside it.
take_turn() { # lock file
  exec 9>"$1"
  if flock -n 9; then return 0; fi
  say 'Waiting for another run of this script, or for the last step of one that was stopped'
  flock -w 600 9 || fail "another run of this script has held $1 for 10 minutes" 'Wait until it has ended, or end it; then run this again.'
}

# Starts a program that outlives this script, without its lock.
in_background() { # log file, command…
  local output=$1
  shift
  nohup setsid "$@" >>"$output" 2>&1 </dev/null 9>&- &
}

need_debian() {
  command -v apt-get >/dev/null || fail "this machine has no apt-get" "forge installs on Debian 12 or 13 and Ubuntu 22.04 or 24.04."
}

# Installs the packages that are missing, and only those.
need_packages() {
  local missing=() package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  say "Installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # A run that was stopped while dpkg worked leaves this to be done first.
  if [ -n "$(ls -A /var/lib/dpkg/updates 2>/dev/null)" ] || [ -n "$(dpkg --audit 2>/dev/null)" ]; then
    quietly 'finishing an interrupted installation of packages' dpkg --configure -a --force-confold
  fi
  apt_install "${missing[@]}" >>"$log_file" 2>&1 && return 0
  quietly 'reading the package lists' apt-get update -qq
  quietly "installing ${missing[*]}" apt_install "${missing[@]}"
}

# A fresh machine upgrades itself in the first minutes: its lock is waited for.
apt_install() { apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold "$@"; }

has_systemd() { [ -d /run/systemd/system ]; }

# Sets $node to a Node 24 or later: the machine's own, else a private one in .node beside the project. One that needs
# the distribution's libnode is passed by: forge keeps a copy of its own, which the next upgrade of that would break.
bring_node() {
  local candidate
  for candidate in "$root/.node/bin/node" "$(command -v node || true)"; do
    if [ -n "$candidate" ] && "$candidate" -e 'process.exit(parseInt(process.versions.node) >= 24 && !process.config.variables.node_shared ? 0 : 1)' 2>/dev/null; then
      node=$candidate
      return 0
    fi
  done
  say "Bringing Node $node_version into $root/.node (this machine has none of version 24 that stands alone)"
  local arch
  case $(uname -m) in
    x86_64) arch=x64 ;;
    aarch64) arch=arm64 ;;
    *) fail "there is no Node for $(uname -m) here" "forge runs on amd64 and arm64." ;;
  esac
  local folder
  folder=$(mktemp -d)
  if ! node_from_release "$arch" "$folder" && ! node_from_npm "$arch" "$folder"; then
    rm -rf "$folder"
    fail "Node $node_version could neither be downloaded from nodejs.org nor by npm" "Install Node 24 or later yourself, or make one of the two reachable, and run this again."
  fi
  mkdir -p "$root/.node/bin"
  install -m 0755 "$folder/node" "$root/.node/bin/node.new"
  mv "$root/.node/bin/node.new" "$root/.node/bin/node"
  rm -rf "$folder"
  node=$root/.node/bin/node
}

node_from_release() { # arch folder
  command -v curl >/dev/null || return 1
  local name=node-v$node_version-linux-$1 site=https://nodejs.org/dist/v$node_version
  curl -fsSL --connect-timeout 5 --max-time 180 -o "$2/SHASUMS256.txt" "$site/SHASUMS256.txt" 2>>"$log_file" || return 1
  curl -fsSL --connect-timeout 5 --max-time 300 -o "$2/$name.tar.gz" "$site/$name.tar.gz" 2>>"$log_file" || return 1
  (cd "$2" && grep " $name.tar.gz\$" SHASUMS256.txt | sha256sum -c --quiet -) >>"$log_file" 2>&1 || return 1
  tar -xzf "$2/$name.tar.gz" -C "$2" --strip-components=1 "$name/bin/node" "$name/lib/node_modules/npm" || return 1
  mv "$2/bin/node" "$2/node"
  mkdir -p "$root/.node/lib" && rm -rf "$root/.node/lib/npm" && mv "$2/lib/node_modules/npm" "$root/.node/lib/npm"
  mkdir -p "$root/.node/bin" && ln -sf ../lib/npm/bin/npm-cli.js "$root/.node/bin/npm"
}

# The npm package node-linux-<arch> holds the official binary; npm checks its integrity.
node_from_npm() { # arch folder
  command -v npm >/dev/null || need_packages npm
  (cd "$2" && npm pack --silent "node-linux-$1@$node_version" && tar -xzf "node-linux-$1-$node_version.tgz" && mv package/bin/node node) >>"$log_file" 2>&1
}

# npm under forge's Node, whichever npm this machine has.
run_npm() {
  local cli
  export npm_config_update_notifier=false
  trust_system_ca
  for cli in "$root/.node/lib/npm/bin/npm-cli.js" "$(dirname "$(dirname "$(readlink -f "$node")")")/lib/node_modules/npm/bin/npm-cli.js" "$(readlink -f "$(command -v npm || true)")"; do
    if [ -f "$cli" ]; then
      PATH="$(dirname "$node"):$PATH" "$node" "$cli" "$@"
      return
    fi
  done
  need_packages npm
  PATH="$(dirname "$node"):$PATH" "$node" "$(readlink -f "$(command -v npm)")" "$@"
}

# The official Node brings its own list of authorities; on a host that trusts more of them, npm needs those too.
trust_system_ca() {
  [ ! -f /etc/ssl/certs/ca-certificates.crt ] || export NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}
}

# No package's own scripts run: they would want compilers, and nothing here needs them.
npm_ci() { run_npm ci --ignore-scripts --no-audit --no-fund; }

# A Go of any version, which fetches the one that is wanted: where the lifecycle of buildpacks has to be compiled, since
# neither is it in the cache nor is there a release archive whose checksum is known.
bring_go() { # folder of the program, cache
  local recipe=$1/builder/lifecycle/release.json version
  version=$(sed -n 's/.*"version": "\([^"]*\)".*/\1/p' "$recipe" | head -n 1)
  if compgen -G "$2/lifecycle/$version-????????????????" >/dev/null || ! grep -q '"sha256": null' "$recipe"; then return 0; fi
  if command -v go >/dev/null || [ -x /usr/local/go/bin/go ]; then return 0; fi
  need_packages golang-go
}

# What a bootstrap that was killed left in the cache: its mounts first, which are the machine's own /dev and /sys.
clear_bootstraps() {
  local place
  if grep -qsx mmdebstrap /proc/[0-9]*/comm; then return 0; fi
  awk -v at="$cache/rootfs/mmdebstrap." 'index($2, at) == 1 { print $2 }' /proc/mounts | sort -r | while read -r place; do umount -l "$place" || true; done
  rm -rf --one-file-system "$cache"/rootfs/mmdebstrap.* "$cache"/rootfs/*.part || true
}

docker_answers() { curl -fs -o /dev/null --max-time 10 --unix-socket "${docker_socket:-/var/run/docker.sock}" http://localhost/_ping; }

# A Docker Engine that answers: the one that is there, else the distribution's.
bring_docker() {
  if ! docker_answers; then
    command -v dockerd >/dev/null || install_docker
    start_docker
  fi
  command -v docker >/dev/null || need_packages docker-cli
  local version
  version=$(docker -H unix:///var/run/docker.sock version --format '{{.Server.Version}}' 2>>"$log_file")
  [ "${version%%.*}" -ge 20 ] 2>/dev/null || fail "the Docker Engine ${version:-of unknown version} is too old" 'forge works with 20.10 and later.'
}

install_docker() {
  # So that an upgrade of the engine does not stop every app. A daemon.json that is there is the admin's.
  if [ ! -e /etc/docker/daemon.json ]; then
    mkdir -p /etc/docker
    printf '{ "live-restore": true }\n' >/etc/docker/daemon.json
  fi
  need_packages docker.io iptables
}

# systemd itself does not say why it did not start.
enable_docker() {
  systemctl enable --now docker && return 0
  journalctl -q -n 10 -u docker --no-pager || true
  return 1
}

start_docker() {
  local tries=0 pid_file where='journalctl -u docker'
  if has_systemd; then
    quietly 'starting Docker' enable_docker
  else
    say 'Starting dockerd (no systemd runs here)'
    where=/var/log/dockerd.log
    mount_control_groups
    # Left by an engine that was killed; it would keep the next one from starting.
    for pid_file in /run/docker.pid /run/docker/containerd/containerd.pid; do
      if [ -f "$pid_file" ] && has_ended "$(cat "$pid_file")"; then rm -f "$pid_file"; fi
    done
    in_background "$where" dockerd
  fi
  until docker_answers; do
    tries=$((tries + 1))
    if [ $tries -ge 120 ]; then
      [ ! -f "$where" ] || tail -n 3 "$where" >&2
      fail 'the Docker Engine does not answer' "See $where; run this again when docker version works."
    fi
    sleep 0.5
  done
}

# What systemd would have mounted, and Docker needs.
mount_control_groups() {
  if grep -qsE ' /sys/fs/cgroup(/[a-z_,]+)? cgroup2? ' /proc/mounts; then return 0; fi
  quietly 'mounting the control groups' mount -t cgroup2 none /sys/fs/cgroup
}

# One that has ended but whose parent never asked counts as ended.
has_ended() { # pid
  ! kill -0 "$1" 2>/dev/null || grep -qs '^State:[[:space:]]*Z' "/proc/$1/status"
}

# The certificate authorities that this host has beyond the distribution's, concatenated; fails when there are none.
extra_ca() { # target file
  local found
  found=$(find /usr/local/share/ca-certificates -name '*.crt' -type f 2>/dev/null | sort)
  [ -n "$found" ] || return 1
  # shellcheck disable=SC2086 # one path a word: the folder is the distribution's own
  cat $found >"$1.new" && mv "$1.new" "$1"
}
