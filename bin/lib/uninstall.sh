# shellcheck shell=bash disable=SC2154
# Sourced by bin/install, which sets the variables: taking forge off the machine.

uninstall_forge() {
  say 'Stopping forge'
  stop_services
  rm -f /etc/systemd/system/forge{,-proxy,-firewall-early,-firewall}.service
  if has_systemd; then systemctl daemon-reload; fi
  close_sshd_door
  remove_firewall
  if [ "$purge" = yes ]; then purge_forge; else body "apps, $data and $cache stay; --uninstall --purge removes them too"; fi
  rm -rf "$opt" "$etc" "$door_dir" /usr/local/bin/forge
  say 'forge is gone from this machine'
}

stop_services() {
  if has_systemd; then
    systemctl disable --now forge forge-proxy forge-firewall forge-firewall-early >>"$log_file" 2>&1 || true
    return 0
  fi
  local pid program
  pid=$(supervisor_pid)
  if [ -n "$pid" ]; then end_supervisor "$pid" TERM; fi
  # What a supervisor that was killed has left running.
  for program in serve proxy; do
    pid=$(sed -n 's/.*"pid":\([0-9]*\).*/\1/p' "/run/forge-$program.pid.json" 2>/dev/null || true)
    case $(readlink "/proc/${pid:-0}/exe" 2>/dev/null) in
      "$opt"/*) kill -TERM "$pid" && wait_for_end "$pid" ;;
    esac
  done
  rm -f /run/forge-supervise.pid /run/forge-serve.pid.json /run/forge-proxy.pid.json
}

# The number of the running supervisor; a pid file that outlived it may name any process by now.
supervisor_pid() {
  local pid
  pid=$(cut -d' ' -f1 /run/forge-supervise.pid 2>/dev/null || true)
  if [ -n "$pid" ] && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q ' supervise '; then printf '%s\n' "$pid"; fi
}

end_supervisor() { # pid, signal
  kill "-$2" "$1" 2>/dev/null || return 0
  wait_for_end "$1"
}

wait_for_end() { # pid
  local tries=0
  until has_ended "$1"; do
    tries=$((tries + 1))
    [ $tries -lt 1000 ] || fail "process $1 does not end" "End it with kill -9 $1, then run this again."
    sleep 0.1
  done
}

close_sshd_door() {
  [ -f /etc/ssh/sshd_config.d/forge.conf ] || return 0
  rm -f /etc/ssh/sshd_config.d/forge.conf
  reload_sshd
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
  if [ -n "$id" ]; then
    if docker_answers; then purge_engine "label=forge.data=$id"; else body 'warning: Docker does not answer, so containers and images of apps stay'; fi
  fi
  clear_bootstraps
  rm -rf --one-file-system "$data" "$cache" "$proxy_dir" "$log_dir" /var/lib/forge-login
  local account
  for account in "$login_user" "$daemon_user" "$proxy_user"; do
    if id "$account" >/dev/null 2>&1; then userdel "$account" >>"$log_file" 2>&1 || true; fi
    if getent group "$account" >/dev/null; then groupdel "$account" >>"$log_file" 2>&1 || true; fi
  done
}

purge_engine() { # filter
  docker ps -aq --filter "$1" | xargs -r docker rm -f -v >>"$log_file" 2>&1 || true
  docker network ls -q --filter "$1" | xargs -r docker network rm >>"$log_file" 2>&1 || true
  docker volume ls -q --filter "$1" | xargs -r docker volume rm -f >>"$log_file" 2>&1 || true
  # Tags are all that tells whose an image is. Another forge on this engine, if there is one, keeps its own.
  if [ -z "$(docker ps -aq --filter label=forge.data)" ]; then
    docker image ls --format '{{.Repository}}:{{.Tag}}' | grep -E '^(forge/|forge\.local/|127\.0\.0\.1:[0-9]+/)' | xargs -r docker image rm -f >>"$log_file" 2>&1 || true
    docker image prune -f --filter label=forge.base >>"$log_file" 2>&1 || true
  fi
}

remove_firewall() {
  [ -x "$opt/current/bin/forge" ] || return 0
  "$opt/current/bin/forge" firewall remove >>"$log_file" 2>&1 || true
}
