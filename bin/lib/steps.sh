# Sourced by bin/install: the steps, in the order in which it calls them.

install_packages() {
  need_packages git ca-certificates curl xz-utils zstd iptables mmdebstrap openssh-client util-linux
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
    mkdir -p "$staging/.node" && cp -r "$(dirname "$(dirname "$(readlink -f "$node")")")/bin" "$staging/.node/" 2>>"$log_file"
    quietly 'installing dependencies' in_folder "$staging" run_npm ci --no-audit --no-fund
    quietly 'compiling' in_folder "$staging" run_npm run --silent build
    quietly 'removing what only compiling needs' in_folder "$staging" run_npm prune --omit=dev --no-audit --no-fund
    touch "$staging/.complete"
    rm -rf "$target" && mv "$staging" "$target"
  fi
  ln -sfn "$target" "$opt/.current.new" && mv -T "$opt/.current.new" "$opt/current"
  ln -sfn "$opt/current/bin/forge" /usr/local/bin/forge
  forge=$opt/current/bin/forge
  find "$opt/releases" -mindepth 1 -maxdepth 1 ! -name "$generation" -mtime +1 -exec rm -rf {} +
}

in_folder() { (cd "$1" && shift && "$@"); }

# The files that make up the program: those that git knows, or all but what is made here.
program_files() {
  if git -C "$root" rev-parse --git-dir >/dev/null 2>&1; then
    git -c safe.directory="$root" -C "$root" ls-files -co --exclude-standard -- bin src hooks buildpacks builder examples docs package.json package-lock.json tsconfig.json tsconfig.build.json
  else
    (cd "$root" && find bin src hooks buildpacks builder examples docs package.json package-lock.json tsconfig.json tsconfig.build.json -type f)
  fi
}

program_hash() {
  {
    (cd "$root" && program_files | sort | tar -cf - --no-recursion --mtime=@0 --owner=0 --group=0 --numeric-owner --files-from=-)
    "$node" --version
  } | sha256sum | cut -c1-12
}

choose_domain() {
  if [ -n "$domain" ]; then return 0; fi
  local address
  address=$(ip -4 route get 192.88.99.1 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p')
  if [ -n "$address" ] && is_public "$address"; then
    domain=$address.sslip.io
    say "Domain: $domain (sslip.io answers for every address; --domain sets your own)"
  else
    domain=localhost
    say 'Domain: localhost, since this machine has no public address of its own (--domain sets one)'
  fi
}

is_public() {
  case $1 in
    10.* | 127.* | 169.254.* | 192.168.* | 192.0.[02].* | 198.1[89].* | 198.51.100.* | 203.0.113.*) return 1 ;;
    172.1[6-9].* | 172.2[0-9].* | 172.3[01].*) return 1 ;;
    100.6[4-9].* | 100.[7-9][0-9].* | 100.1[01][0-9].* | 100.12[0-7].*) return 1 ;;
  esac
  return 0
}

sshd_runs() { [ -d /etc/ssh/sshd_config.d ] && grep -qs '^ *Include */etc/ssh/sshd_config.d' /etc/ssh/sshd_config && { has_systemd && { systemctl is-active -q ssh || systemctl is-active -q ssh.socket || systemctl is-active -q sshd; } || [ -f /run/sshd.pid ]; }; }

choose_doors() {
  if sshd_runs && [ -z "$ssh_port_given" ]; then
    ssh_port=-1
    say "SSH: through this machine's OpenSSH, as $login_user@<host>"
  else
    if [ -z "$ssh_port" ] || [ "$ssh_port" = -1 ]; then ssh_port=2222; fi
    say "SSH: forge's own server on port $ssh_port"
  fi
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
  if [ "$ssh_port" = -1 ]; then
    "$forge" sshd-config --login-user "$login_user" --keys-user "$daemon_user" --keys-file "$data/ssh/authorized_keys" | write_file /etc/ssh/sshd_config.d/forge.conf
    quietly "checking sshd's configuration" sshd -t
    reload_sshd
  fi
}

# Writes stdin aside and renames it; the file is world-readable, so no secret goes through here.
write_file() { cat >"$1.new" && chmod 0644 "$1.new" && mv "$1.new" "$1"; }

make_builder() {
  say 'Making the local builder (run and build images, lifecycle, buildpacks; minutes the first time, then kept)'
  quietly 'making the builder' with_settings "$forge" builder:create
}

with_settings() { (set -a && . "$etc/forge.env" && set +a && "$@"); }

start_services() {
  say 'Starting forge'
  with_settings "$forge" firewall apply >>"$log_file" 2>&1 || body "warning: the firewall could not be set (see $log_file): containers may reach services of this machine"
  # The proxy is restarted only when its own code or settings changed: a restart of the rest loses no request.
  local proxy_generation
  proxy_generation=$( (cd "$opt/current/dist" && find proxy -name '*.js' -print0 | sort -z | xargs -0 sha256sum; cat "$etc/forge.env") | sha256sum | cut -c1-12)
  if has_systemd; then start_units "$proxy_generation"; else start_supervised "$proxy_generation"; fi
  wait_until_serving
}

start_units() { # proxy generation
  local changed=no unit
  for unit in forge forge-proxy forge-firewall; do
    "$forge" systemd-unit "$unit" --data "$data" --proxy-dir "$proxy_dir" --door-dir "$door_dir" --cache-dir "$cache" | write_file "$etc/$unit.service"
    cmp -s "$etc/$unit.service" "/etc/systemd/system/$unit.service" || { mv "$etc/$unit.service" "/etc/systemd/system/$unit.service" && changed=yes; }
    rm -f "$etc/$unit.service"
  done
  [ "$changed" = no ] || quietly 'reading the units' systemctl daemon-reload
  quietly 'enabling the units' systemctl enable forge-firewall forge-proxy forge
  restart_if_changed forge-proxy "$1"
  restart_if_changed forge "$program_generation-$(sha256sum "$etc/forge.env" | cut -c1-12)"
  quietly 'starting the firewall' systemctl restart forge-firewall
}

restart_if_changed() { # unit generation
  if systemctl is-active -q "$1" && [ "$(cat "$etc/$1.generation" 2>/dev/null)" = "$2" ]; then return 0; fi
  quietly "starting $1" systemctl restart "$1"
  printf '%s\n' "$2" >"$etc/$1.generation"
}

start_supervised() { # proxy generation
  with_settings "$forge" supervise-plan --daemon-user "$daemon_user" --proxy-user "$proxy_user" --log-dir "$log_dir" --program "$opt/current/bin/forge" \
    --proxy-generation "$1" --serve-generation "$program_generation-$(sha256sum "$etc/forge.env" | cut -c1-12)" | write_file "$etc/supervise.json"
  local pid
  pid=$(cat /run/forge-supervise.pid 2>/dev/null || true)
  if [ -n "$pid" ] && kill -HUP "$pid" 2>/dev/null; then return 0; fi
  nohup setsid "$opt/current/bin/forge" supervise "$etc/supervise.json" >>"$log_dir/supervise.log" 2>&1 </dev/null &
}

wait_until_serving() {
  local tries=0
  until "$forge" apps:list >/dev/null 2>&1 && curl -fs -o /dev/null --max-time 2 -H "Host: forge.$domain" "http://127.0.0.1:$http_port/healthz"; do
    tries=$((tries + 1))
    if [ $tries -ge 150 ]; then
      local where="$log_dir/serve.log and $log_dir/proxy.log"
      if has_systemd; then where='journalctl -u forge -u forge-proxy'; else tail -n 5 "$log_dir"/*.log >&2; fi
      fail 'forge does not answer' "See $where. A port in use is the usual reason: --http-port and --ssh-port choose others."
    fi
    sleep 0.2
  done
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
  trap remove_demo EXIT
  ssh-keygen -q -t ed25519 -N '' -C install-demo -f "$demo_folder/key"
  "$forge" keys:remove install-demo >/dev/null 2>&1 || true
  "$forge" keys:add install-demo --admin <"$demo_folder/key.pub" >>"$log_file"
  cp -r "$root/examples/hello" "$demo_folder/hello"
  (
    cd "$demo_folder/hello"
    git init -q -b main && git add -A
    git -c user.name=forge -c user.email=forge@localhost commit -q -m 'Say hello'
    local port=$ssh_port
    [ "$port" != -1 ] || port=22
    export GIT_SSH_COMMAND="ssh -F /dev/null -i $demo_folder/key -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=$demo_folder/known_hosts -o LogLevel=ERROR"
    body "git push ssh://$login_user@localhost:$port/hello main"
    git push --quiet "ssh://$login_user@localhost:$port/hello" main 2>&1 | sed 's/^remote: //; s/ *$//'
  ) || fail 'the demo could not be pushed' "The output above says why; ssh and git on this machine reach forge as any other machine would."
  remove_demo
}

remove_demo() {
  trap - EXIT
  "$forge" keys:remove install-demo >>"$log_file" 2>&1 || true
  rm -rf "$demo_folder"
}

print_next_steps() {
  local host=$domain port=''
  [ "$domain" != localhost ] || host=$(hostname -I 2>/dev/null | awk '{print $1}')
  [ "$ssh_port" = -1 ] || port=$ssh_port
  cat <<END
=====> forge serves: http://<app>.$domain$([ "$http_port" = 80 ] || printf ':%s' "$http_port")

       On your own machine, add this to ~/.ssh/config:

           Host forge
             HostName ${host:-<this machine>}
             User $login_user
$([ -z "$port" ] || printf '             Port %s\n' "$port")

       Then, in the folder of an app:

           git remote add forge forge:myapp
           git push forge main
           ssh forge apps:logs myapp

       Another key:   ssh forge keys:add NAME --admin < key.pub
       Everything:    ssh forge help
END
}
