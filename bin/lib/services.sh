# shellcheck shell=bash disable=SC2154
# Sourced by bin/install, which sets the variables: starting forge, and waiting until it serves.

start_services() {
  say 'Starting forge'
  with_settings "$forge" firewall apply >>"$log_file" 2>&1 || body "warning: the firewall could not be set (see $log_file): containers may reach services of this machine"
  with_settings "$forge" build-caps >>"$log_file" 2>&1 || body "warning: builds could not be capped (see $log_file): forge watches them one by one"
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
  for unit in forge forge-proxy forge-firewall-early forge-firewall; do unit_text "$unit" | write_file "/etc/systemd/system/$unit.service"; done
  quietly 'reading the units' systemctl daemon-reload
  quietly 'enabling the units' systemctl enable forge-firewall-early forge-firewall forge-proxy forge
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
  local deadline=$((SECONDS + 120))
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
