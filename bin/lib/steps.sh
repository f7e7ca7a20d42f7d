# shellcheck shell=bash disable=SC2154
# Sourced by bin/install, which sets the variables: the steps, in the order in which it calls them.

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

add_account() { # name home shell
  id "$1" >/dev/null 2>&1 || useradd --system --user-group --home-dir "$2" --no-create-home --shell "$3" "$1"
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

make_builder() {
  say 'Making the local builder (run and build images, lifecycle, buildpacks; minutes the first time, then kept)'
  # What a run that was stopped left of its work.
  if ! grep -qsx mmdebstrap /proc/[0-9]*/comm; then rm -rf --one-file-system "$cache"/rootfs/mmdebstrap.* "$cache"/rootfs/*.part; fi
  bring_go "$opt/current" "$cache"
  quietly 'making the builder' with_settings "$forge" builder:create
  # So that the daemon can make again what the engine has lost.
  chown -R "$daemon_user:$daemon_user" "$cache"
}

# shellcheck source=/dev/null
with_settings() { (set -a && . "$etc/forge.env" && set +a && "$@"); }

start_services() {
  say 'Starting forge'
  with_settings "$forge" firewall apply >>"$log_file" 2>&1 || body "warning: the firewall could not be set (see $log_file): containers may reach services of this machine"
  local proxy_generation serve_generation
  proxy_generation=$(generation_of_proxy)
  serve_generation=$program_generation-$(sha256sum "$etc/forge.env" | cut -c1-12)
  if has_systemd; then start_units; else start_supervised; fi
  wait_until_serving
}

# The proxy is restarted only when its own code or settings changed: a restart of the rest loses no request.
generation_of_proxy() {
  (
    cd "$opt/current/dist" || exit
    shared=$(grep -rhoE "from '\.\./[a-z-]+\.js'" proxy | sed "s/from '..\///; s/'//" | sort -u)
    # shellcheck disable=SC2086 # one file a word
    {
      find proxy -name '*.js' -print0 | LC_ALL=C sort -z | xargs -0 cat
      cat $shared
      grep -E '^FORGE_(DOMAIN|HTTPS?|BIND|PROXY)' "$etc/forge.env"
      "$node" --version
      if has_systemd; then unit_text forge-proxy; fi
    } | sha256sum | cut -c1-12
  )
}

unit_text() { "$forge" systemd-unit "$1" --data "$data" --proxy-dir "$proxy_dir" --door-dir "$door_dir" --cache-dir "$cache"; }

start_units() {
  local unit
  for unit in forge forge-proxy forge-firewall; do unit_text "$unit" | write_file "/etc/systemd/system/$unit.service"; done
  quietly 'reading the units' systemctl daemon-reload
  quietly 'enabling the units' systemctl enable forge-firewall forge-proxy forge
  restart_if_changed forge-proxy "$proxy_generation"
  restart_if_changed forge "$serve_generation"
  quietly 'starting the firewall' systemctl restart forge-firewall
}

restart_if_changed() { # unit generation
  if systemctl is-active -q "$1" && [ "$(cat "$etc/$1.generation" 2>/dev/null)" = "$2" ]; then return 0; fi
  quietly "starting $1" systemctl restart "$1"
  printf '%s\n' "$2" >"$etc/$1.generation"
}

# The supervisor takes over what an earlier one left running, and restarts only what has changed.
start_supervised() {
  with_settings "$forge" supervise-plan --daemon-user "$daemon_user" --proxy-user "$proxy_user" --log-dir "$log_dir" --program "$opt/current/bin/forge" \
    --proxy-generation "$proxy_generation" --serve-generation "$serve_generation" | write_file "$etc/supervise.json"
  local pid
  pid=$(supervisor_pid)
  if [ -n "$pid" ] && [ "$(readlink "/proc/$pid/exe")" = "$opt/releases/$program_generation/.node/bin/node" ]; then
    kill -HUP "$pid"
    return 0
  fi
  if [ -n "$pid" ]; then end_supervisor "$pid" USR2; fi
  in_background "$log_dir/supervise.log" "$opt/current/bin/forge" supervise "$etc/supervise.json"
}

wait_until_serving() {
  local deadline=$((SECONDS + 45))
  until serves; do
    if [ $SECONDS -ge $deadline ]; then
      local where="$log_dir/serve.log and $log_dir/proxy.log"
      if has_systemd; then
        where='journalctl -u forge -u forge-proxy'
        journalctl -q -n 5 -u forge -u forge-proxy --no-pager >&2 || true
      else
        tail -q -n 3 "$log_dir/serve.log" "$log_dir/proxy.log" >&2 || true
      fi
      fail 'forge does not answer' "Its last words are above, more of them in $where. Run this again when the cause is mended."
    fi
    sleep 0.2
  done
}

# The control plane answers on its socket and through the proxy, in the wanted generation, and is kept running.
serves() {
  "$forge" apps:list >/dev/null 2>&1 || return 1
  curl -fs -o /dev/null --max-time 2 -H "Host: forge.$domain" "http://127.0.0.1:$http_port/healthz" || return 1
  has_systemd || { [ -n "$(supervisor_pid)" ] && grep -qsF "\"$serve_generation\"" /run/forge-serve.pid.json; }
}

register_admin_key() {
  local found
  found=$(mktemp)
  admin_keys >"$found" || true
  if [ ! -s "$found" ]; then
    body 'No admin key was found. Add yours: forge keys:add laptop --admin < id_ed25519.pub'
  else
    local added=0 line
    while IFS= read -r line; do
      if add_admin_key "$line"; then added=$((added + 1)); fi
    done <"$found"
    [ $added -eq 0 ] || say "Let $added admin key(s) in"
  fi
  rm -f "$found"
}

# Plain keys only: lines with options belong to another purpose.
admin_keys() {
  local home='' file
  [ -z "${SUDO_USER:-}" ] || home=$(getent passwd "$SUDO_USER" | cut -d: -f6)
  if [ -n "$admin_key" ]; then
    [ -r "$admin_key" ] || fail "the admin key $admin_key cannot be read" 'give the path of a .pub file with --admin-key'
    grep -E '^(ssh-|ecdsa-)' "$admin_key"
    return
  fi
  for file in "${home:+$home/.ssh/authorized_keys}" /root/.ssh/authorized_keys; do
    if [ -n "$file" ] && [ -r "$file" ] && grep -E '^(ssh-|ecdsa-)' "$file"; then return; fi
  done
  ssh-add -L 2>/dev/null | grep -E '^(ssh-|ecdsa-)'
}

add_admin_key() { # line of an authorized_keys file
  local blob name
  blob=$(printf '%s' "$1" | awk '{print $2}')
  "$forge" keys:list --json 2>/dev/null | grep -qF "$(ssh-keygen -lf /dev/stdin <<<"$1" | awk '{print $2}')" && return 1
  name=$(printf '%s' "$1" | awk '{print $3}' | tr -cd 'A-Za-z0-9._@+-' | cut -c1-50)
  printf '%s\n' "$1" | "$forge" keys:add "${name:-admin-${blob: -8}}" --admin >>"$log_file" 2>&1 \
    || printf '%s\n' "$1" | quietly 'adding the admin key' "$forge" keys:add "admin-$(printf '%s' "$blob" | sha256sum | cut -c1-8)" --admin
}

run_demo() {
  if "$forge" apps:info hello >/dev/null 2>&1; then
    say 'Demo: the app hello is there already'
  else
    push_demo
  fi
  local url="http://hello.$domain"
  [ "$http_port" = 80 ] || url=$url:$http_port
  body "curl $url"
  curl -fsS --max-time 10 --resolve "hello.$domain:$http_port:127.0.0.1" "$url" | sed 's/^/       /' || fail "$url does not answer" 'forge apps:logs hello shows what the app says'
}

push_demo() {
  say 'Demo: pushing examples/hello with a key that is removed afterwards'
  demo_folder=$(mktemp -d)
  # shellcheck disable=SC2034 # machine.sh calls it
  on_exit=remove_demo
  ssh-keygen -q -t ed25519 -N '' -C install-demo -f "$demo_folder/key"
  "$forge" keys:remove install-demo >/dev/null 2>&1 || true
  "$forge" keys:add install-demo --admin <"$demo_folder/key.pub" >>"$log_file"
  cp -r "$root/examples/hello" "$demo_folder/hello"
  (
    cd "$demo_folder/hello"
    git init -q -b main && git add -A
    git -c user.name=forge -c user.email=forge@localhost commit -q -m 'Say hello'
    local port=$ssh_port
    [ "$port" != -1 ] || port=$(sshd_port)
    export GIT_SSH_COMMAND="ssh -F /dev/null -i $demo_folder/key -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=$demo_folder/known_hosts -o LogLevel=ERROR"
    body "git push ssh://$login_user@localhost:$port/hello main"
    git push --quiet "ssh://$login_user@localhost:$port/hello" main 2>&1 | sed 's/^remote: //; s/ *$//'
  ) || fail 'the demo could not be pushed' "The output above says why; ssh and git on this machine reach forge as any other machine would."
  remove_demo
}

remove_demo() {
  # shellcheck disable=SC2034
  on_exit=''
  "$forge" keys:remove install-demo >>"$log_file" 2>&1 || true
  rm -rf "$demo_folder"
}

sshd_port() { sshd -T 2>/dev/null | sed -n 's/^port //p' | head -n 1 | grep . || echo 22; }

print_next_steps() {
  local host=$domain port=''
  [ "$domain" != localhost ] || host=$(own_address)
  port=$ssh_port
  [ "$port" != -1 ] || port=$(sshd_port)
  [ "$port" != 22 ] || port=''
  cat <<END
=====> forge serves: http://<app>.$domain$([ "$http_port" = 80 ] || printf ':%s' "$http_port")

       On your own machine, add this to ~/.ssh/config:

           Host forge
             HostName ${host:-<this machine>}
             User $login_user${port:+
             Port $port}

       Then, in the folder of an app:

           git remote add forge forge:myapp
           git push forge main
           ssh forge apps:logs myapp

       Another key:   ssh forge keys:add NAME --admin < key.pub
       Everything:    ssh forge help
END
}
