# shellcheck shell=bash disable=SC2154
# Sourced by bin/install, which sets the variables: the admin's key, the demo, what to do next.

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
