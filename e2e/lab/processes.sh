# shellcheck shell=bash
# Sourced by prom-up, kube-up and vm-up: servers that run in the background, each known by a file that holds its pid.
# A pid counts only while its program is still the one that was started, so a reused pid is never killed.
# The caller sets PIDS, the folder of the pid files, and LOGS.

alive() { # NAME
  local p exe
  [ -f "$PIDS/$1" ] && p=$(cat "$PIDS/$1") && exe=$(readlink "/proc/$p/exe") || return 1
  case $exe in */"$1" | */"$1 (deleted)") ;; *) return 1 ;; esac
}

start() { # NAME PROGRAM ARGUMENT...   (nothing happens when it runs already)
  local n=$1
  shift
  alive "$n" && return 0
  "$@" >"$LOGS/$n" 2>&1 </dev/null &
  echo $! >"$PIDS/$n"
  disown
}

stop() { # NAME   (10 s to end by itself)
  local p
  if alive "$1"; then
    p=$(cat "$PIDS/$1")
    kill "$p" 2>/dev/null || true
    for _ in $(seq 100); do alive "$1" || break; sleep .1; done
    ! alive "$1" || kill -9 "$p" 2>/dev/null || true
  fi
  rm -f "$PIDS/$1"
}

need_free() { # PORT...
  local port
  for port in "$@"; do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "port $port of 127.0.0.1 is taken by another program: free it, or choose another one (see README.md)" >&2
      return 1
    fi
  done
}

wait_until() { # NAME SECONDS COMMAND...   (fails at once when the server has ended)
  local n=$1 tries=$(($2 * 5))
  shift 2
  for _ in $(seq "$tries"); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    if ! alive "$n"; then
      echo "$n ended; the end of its log:" >&2
      break
    fi
    sleep .2
  done
  tail -n 20 "$LOGS/$n" >&2
  return 1
}
