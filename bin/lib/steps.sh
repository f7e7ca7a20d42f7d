# shellcheck shell=bash disable=SC2154
# Sourced by bin/install, which sets the variables: the steps up to the builder, in the order in which it calls them.

install_packages() {
  # fakechroot and fakeroot: should an image have to be made anew later, the daemon has no root.
  need_packages git ca-certificates curl xz-utils zstd iptables iproute2 mmdebstrap fakechroot fakeroot openssh-client util-linux
}

# A release of the program is complete before `current` names it; what serves goes on from the old one.
install_program() {
  local generation target
  generation=$(program_hash)
  target=$opt/releases/$generation
  program_generation=$generation
  if [ ! -e "$target/.complete" ]; then
    say "Compiling forge into $target"
    local staging=$opt/releases/.new-$generation
    rm -rf "$staging" && mkdir -p "$staging"
    (cd "$root" && program_files | tar -cf - --files-from=-) | tar -xf - -C "$staging"
    install -D -m 0755 "$(readlink -f "$node")" "$staging/.node/bin/node"
    quietly 'installing dependencies' in_folder "$staging" npm_ci
    quietly 'compiling' in_folder "$staging" run_npm run --silent build
    quietly 'removing what only compiling needs' in_folder "$staging" run_npm prune --ignore-scripts --omit=dev --no-audit --no-fund
    touch "$staging/.complete"
    rm -rf "$target" && mv "$staging" "$target"
  fi
  ln -sfn "$target" "$opt/.current.new" && mv -T "$opt/.current.new" "$opt/current"
  ln -sfn "$opt/current/bin/forge" /usr/local/bin/forge
  forge=$opt/current/bin/forge
  remove_old_releases
}

# What still runs is kept: the proxy is restarted only when its own code changes, and starts its workers from there.
remove_old_releases() {
  local running folder
  # Processes of the kernel have no program, others end meanwhile.
  running=$({ readlink /proc/[0-9]*/exe 2>/dev/null || true; } | sed -n "s#^$opt/releases/\([^/]*\)/.*#\1#p" | sort -u)
  for folder in "$opt"/releases/* "$opt"/releases/.new-*; do
    case $'\n'$running$'\n'$program_generation$'\n' in
      *$'\n'"${folder##*/}"$'\n'*) ;;
      *) rm -rf "$folder" ;;
    esac
  done
}

in_folder() { (cd "$1" && shift && "$@"); }

# The files that make up the program: those that git knows, or all but what is made here.
program_files() {
  local parts=(bin src hooks buildpacks builder examples docs package.json package-lock.json tsconfig.json tsconfig.build.json)
  (
    cd "$root" || exit
    if [ -e .git ]; then
      # The checkout belongs to whoever cloned it. A file that was deleted since is known to git all the same.
      git -c safe.directory="$root" ls-files -co --exclude-standard -- "${parts[@]}" | while IFS= read -r file; do [ ! -e "$file" ] && [ ! -L "$file" ] || printf '%s\n' "$file"; done
    else
      find "${parts[@]}" -name __pycache__ -prune -o \( -type f -o -type l \) -print
    fi
  )
}

program_hash() {
  {
    (cd "$root" && program_files | LC_ALL=C sort | tar -cf - --no-recursion --mtime=@0 --owner=0 --group=0 --numeric-owner --files-from=-)
    "$node" --version
  } | sha256sum | cut -c1-12
}

choose_domain() {
  if [ -n "$domain" ]; then return 0; fi
  local address
  address=$(own_address)
  if [ -n "$address" ] && is_public "$address"; then
    domain=$address.sslip.io
    say "Domain: $domain (sslip.io answers for every address; --domain sets your own)"
  else
    domain=localhost
    say 'Domain: localhost, since this machine has no public address of its own (--domain sets one)'
  fi
}

# The address that packets to the internet leave from.
own_address() { ip -4 route get 192.88.99.1 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p'; }

is_public() {
  case $1 in
    10.* | 127.* | 169.254.* | 192.168.* | 192.0.[02].* | 198.1[89].* | 198.51.100.* | 203.0.113.*) return 1 ;;
    172.1[6-9].* | 172.2[0-9].* | 172.3[01].*) return 1 ;;
    100.6[4-9].* | 100.[7-9][0-9].* | 100.1[01][0-9].* | 100.12[0-7].*) return 1 ;;
  esac
  return 0
}

sshd_runs() {
  grep -qsiE '^[[:space:]]*Include[[:space:]]+/etc/ssh/sshd_config.d/' /etc/ssh/sshd_config || return 1
  if has_systemd; then
    systemctl is-active -q ssh || systemctl is-active -q ssh.socket || systemctl is-active -q sshd
  else
    [ -f /run/sshd.pid ] && kill -0 "$(cat /run/sshd.pid)" 2>/dev/null
  fi
}

choose_doors() {
  if sshd_runs && [ -z "$ssh_port_given" ]; then
    ssh_port=-1
    say "SSH: through this machine's OpenSSH, as $login_user@<host>"
  else
    if [ -z "$ssh_port" ] || [ "$ssh_port" = -1 ]; then ssh_port=2222; fi
    say "SSH: forge's own server on port $ssh_port"
  fi
  need_free_port "$http_port" 'the proxy' --http-port
  if [ "$ssh_port" != -1 ] && [ "$ssh_port" -lt 1024 ] 2>/dev/null; then
    fail "forge's SSH server cannot have port $ssh_port: it runs without the right to ports below 1024" 'Choose one above, or leave --ssh-port out where OpenSSH runs: then people use its port.'
  fi
  [ "$ssh_port" = -1 ] || need_free_port "$ssh_port" "forge's SSH server" --ssh-port
}

# Before minutes are spent: nobody but an earlier forge may hold the port.
need_free_port() { # port, for what, flag
  local holder pid
  case $1 in '' | *[!0-9]*) fail "$3 $1 is no port" "expected a number from 1 to 65535" ;; esac
  holder=$(ss -Hltnp "sport = :$1" 2>>"$log_file" | head -n 1)
  [ -n "$holder" ] || return 0
  pid=$(printf '%s' "$holder" | sed -n 's/.*pid=\([0-9]*\).*/\1/p')
  case $(readlink "/proc/${pid:-0}/exe" 2>/dev/null) in "$opt"/*) return 0 ;; esac
  fail "port $1, which $2 needs, is in use by $(cat "/proc/${pid:-0}/comm" 2>/dev/null || printf 'another program')${pid:+ (process $pid)}" "Stop that program, or choose another port: $3 N"
}

make_accounts() {
  add_account "$login_user" /var/lib/forge-login /bin/sh
  add_account "$daemon_user" "$data" /usr/sbin/nologin
  add_account "$proxy_user" "$proxy_dir" /usr/sbin/nologin
  # '*' is no password at all, but unlike '!' it does not lock the account out of key logins.
  usermod -p '*' "$login_user"
  mkdir -p /var/lib/forge-login && chown root:root /var/lib/forge-login
  getent group docker >/dev/null || groupadd --system docker
  # The daemon may use Docker; it shares the login account's group for the door and the proxy's for its sockets.
  usermod -G "docker,$login_user,$proxy_user" "$daemon_user"
  install -d -m 0700 -o "$daemon_user" -g "$daemon_user" "$data"
  install -d -m 2770 -o "$proxy_user" -g "$proxy_user" "$proxy_dir"
  install -d -m 2750 -o "$daemon_user" -g "$login_user" "$door_dir"
  install -d -m 0755 "$cache" "$log_dir"
}

# A group that an account of this name left behind is taken up again.
account_group() { if getent group "$1" >/dev/null; then printf -- '--gid %s' "$1"; else printf -- '--user-group'; fi; }

add_account() { # name home shell
  # shellcheck disable=SC2046 # one or two words by intent
  id "$1" >/dev/null 2>&1 || useradd --system $(account_group "$1") --home-dir "$2" --no-create-home --shell "$3" "$1"
}

write_settings() {
  mkdir -p "$etc"
  local extra=''
  if extra_ca "$etc/extra-ca.pem"; then
    extra=$etc/extra-ca.pem
    say 'This host trusts more certificate authorities than its distribution: builds will trust them too'
  fi
  write_file "$etc/forge.env" <<END
FORGE_DATA=$data
FORGE_DOMAIN=$domain
FORGE_HTTP=$http_port
FORGE_SSH=$ssh_port
FORGE_BIND=0.0.0.0
FORGE_PROXY_DIR=$proxy_dir
FORGE_CACHE_DIR=$cache
FORGE_DOOR_SOCKET=$door_dir/door.sock
FORGE_AUTHORIZED_KEYS_FILE=$data/ssh/authorized_keys
FORGE_BUILD_EXTRA_CA=$extra
FORGE_BUILD_HTTP_PROXY=${http_proxy:-${HTTP_PROXY:-}}
FORGE_BUILD_HTTPS_PROXY=${https_proxy:-${HTTPS_PROXY:-}}
FORGE_BUILD_NO_PROXY=${no_proxy:-${NO_PROXY:-}}
END
  if [ "$ssh_port" = -1 ]; then open_sshd_door; else close_sshd_door; fi
}

open_sshd_door() {
  local drop_in=/etc/ssh/sshd_config.d/forge.conf before=''
  [ ! -f "$drop_in" ] || before=$(cat "$drop_in")
  "$forge" sshd-config --login-user "$login_user" --keys-user "$daemon_user" --keys-file "$data/ssh/authorized_keys" | write_file "$drop_in"
  [ "$before" != "$(cat "$drop_in")" ] || return 0
  mkdir -p /run/sshd
  # A file that sshd does not take would keep it from starting, and people from their machine.
  if ! sshd -t >>"$log_file" 2>&1; then
    rm -f "$drop_in"
    fail "sshd does not take forge's configuration" "See the end of $log_file. With --ssh-port N forge uses a server of its own instead."
  fi
  reload_sshd
}

# Writes stdin aside and renames it. A proxy's address may hold a password: then only root reads the file.
write_file() {
  (umask 077 && cat >"$1.new")
  if ! grep -q '://[^/]*@' "$1.new"; then chmod 0644 "$1.new"; fi
  mv "$1.new" "$1"
}

# Before forge starts for the first time: it would make data of its own.
restore_backup() {
  [ -n "$restore" ] || return 0
  say "Restoring $restore"
  "$forge" restore "$restore" --data "$data" || fail "$restore was not restored" 'Mend what it says and run this again; leave out --restore if it was restored by an earlier run.'
}

make_builder() {
  say 'Making the local builder (run and build images, lifecycle, buildpacks; minutes the first time, then kept)'
  clear_bootstraps
  bring_go "$opt/current" "$cache"
  # Buildpacks get packages where this machine's npm and go get them.
  quietly 'making the builder' with_settings env "npm_config_registry=$(run_npm config get registry 2>>"$log_file" | tail -n 1)" "$forge" builder:create
  # So that the daemon can make again what the engine has lost.
  chown -R "$daemon_user:$daemon_user" "$cache"
}

# shellcheck source=/dev/null
with_settings() { (set -a && . "$etc/forge.env" && set +a && "$@"); }
