# Sourced by bin/install: taking forge off the machine.

uninstall_forge() {
  say 'Stopping forge'
  stop_services
  rm -f /etc/systemd/system/forge.service /etc/systemd/system/forge-proxy.service /etc/systemd/system/forge-firewall.service
  if has_systemd; then systemctl daemon-reload; fi
  if [ -f /etc/ssh/sshd_config.d/forge.conf ]; then
    rm -f /etc/ssh/sshd_config.d/forge.conf
    reload_sshd
  fi
  remove_firewall
  if [ "$purge" = yes ]; then purge_forge; else body "apps, $data and $cache stay; --uninstall --purge removes them too"; fi
  rm -rf "$opt" "$etc" "$door_dir" /usr/local/bin/forge
  say 'forge is gone from this machine'
}

stop_services() {
  if has_systemd; then
    systemctl disable --now forge forge-proxy forge-firewall >>"$log_file" 2>&1 || true
    return 0
  fi
  local pid
  pid=$(cat /run/forge-supervise.pid 2>/dev/null || true)
  if [ -n "$pid" ] && kill -TERM "$pid" 2>/dev/null; then
    local tries=0
    while kill -0 "$pid" 2>/dev/null && [ $tries -lt 600 ]; do
      tries=$((tries + 1))
      sleep 0.1
    done
  fi
  rm -f /run/forge-supervise.pid
}

reload_sshd() {
  if has_systemd; then
    systemctl reload ssh >>"$log_file" 2>&1 || systemctl reload sshd >>"$log_file" 2>&1 || true
  elif [ -f /run/sshd.pid ]; then
    kill -HUP "$(cat /run/sshd.pid)" 2>/dev/null || true
  fi
}

# Everything that carries the label of this data directory, and nothing else.
purge_forge() {
  say "Removing apps, $data, $cache and accounts"
  local id
  id=$(cat "$data/id" 2>/dev/null || true)
  if [ -n "$id" ] && docker_answers; then
    docker ps -aq --filter "label=forge.data=$id" | xargs -r docker rm -f >>"$log_file" 2>&1 || true
    docker network ls -q --filter "label=forge.data=$id" | xargs -r docker network rm >>"$log_file" 2>&1 || true
    docker volume ls -q --filter "label=forge.data=$id" | xargs -r docker volume rm -f >>"$log_file" 2>&1 || true
  fi
  rm -rf "$data" "$cache" "$proxy_dir" "$log_dir"
  local account
  for account in "$login_user" "$daemon_user" "$proxy_user"; do
    if id "$account" >/dev/null 2>&1; then userdel "$account" >>"$log_file" 2>&1 || true; fi
  done
}

remove_firewall() {
  [ -x "$opt/current/bin/forge" ] || return 0
  "$opt/current/bin/forge" firewall remove >>"$log_file" 2>&1 || true
}
