/**
 * The shell of units that are sessions: POSIX sh with coreutils and setsid, so that it needs no file of its own and works
 * from a single binary. Values come as arguments, never spliced into the text.
 */

/**
 * The detached unit: `sh -c UNIT unit DIR DEADLINE_SECS BOOT_ID NONCE PROGRAM ARG…`.
 *
 * The folder is prepared beside its name and renamed into place, so that a unit that exists always says who runs it, and
 * a name that is taken refuses (rename onto a folder that is not empty fails): the lock against firing twice.
 * TERM only wakes this shell: it stays to write down how the program ended. Output is kept in chunks, the newest three of
 * at most 512 KiB, because a file would fill the disk and `tail` would lose all when the unit is killed. A service that
 * the program left behind may hold the pipe for ever, so that the outcome waits for the last output one second at most.
 * `timeout` ends the program and, of what that has started, only who heeds TERM: past the deadline all of its process group,
 * which is not this shell's, is ended before the outcome is told.
 */
export const UNIT = `
dir=$1 deadline=$2 boot=$3 nonce=$4
shift 4
new=$dir.new.$$
mkdir "$new" && mkfifo "$new/pipe" || exit 1
read -r stat < "/proc/$$/stat"
began=$(set -- \${stat##*) }; printf '%s' "\${20}")
printf '%s\\n' "$$" "$began" "$boot" "$nonce" > "$new/start"
mv -T "$new" "$dir" 2>/dev/null || { rm -rf "$new"; exit 1; }
trap : TERM
(
  trap '' TERM
  while dd bs=512 count=1024 of="$dir/output.2" 2>/dev/null && [ -s "$dir/output.2" ]; do
    [ ! -e "$dir/output.1" ] || mv "$dir/output.1" "$dir/output.0"
    mv "$dir/output.2" "$dir/output.1"
  done
  : > "$dir/kept"
) < "$dir/pipe" &
timeout -k 5 "$deadline" "$@" > "$dir/pipe" 2>&1 < /dev/null
code=$?
turn=0
while [ "$code" -ge 124 ] && [ "$turn" -lt 100 ]; do
  turn=$((turn + 1)) left=
  for file in /proc/[0-9]*/stat; do
    { read -r stat < "$file"; } 2>/dev/null || continue
    pid=\${stat%% *}
    set -- \${stat##*) }
    [ "$4" = "$$" ] && [ "$3" != "$$" ] && [ "$1" != Z ] || continue
    left=1
    kill -s KILL "$pid" 2>/dev/null
  done
  [ -n "$left" ] || break
  sleep 0.01
done
turn=0
while [ ! -e "$dir/kept" ] && [ "$turn" -lt 100 ]; do turn=$((turn + 1)); sleep 0.01; done
printf '%s\\n' "$code" > "$dir/outcome.new" && mv "$dir/outcome.new" "$dir/outcome"
`;

/** `sh -c DETACH detach NAME=VALUE… setsid …`: child of nobody, with an environment that holds nothing else of ours. */
export const DETACH = `
exec env -i PATH="$PATH" "$@" < /dev/null > /dev/null 2>&1
`;

/**
 * `sh -c SESSION session SIGNAL SESSION_ID`: sends the signal to every process of the session and prints their numbers;
 * signal 0 only looks. A session, not a process group: `timeout` makes a group of its own. Zombies count as ended.
 */
export const SESSION = `
signal=$1 session=$2
for file in /proc/[0-9]*/stat; do
  { read -r stat < "$file"; } 2>/dev/null || continue
  pid=\${stat%% *}
  set -- \${stat##*) }
  [ "$4" = "$session" ] && [ "$1" != Z ] || continue
  kill -s "$signal" "$pid" 2>/dev/null && printf '%s\\n' "$pid"
done
exit 0
`;

/** `sh -c PRUNE prune FOLDER FIRST`: of what lies there, from the FIRST newest on, everything is removed. */
export const PRUNE = `
mkdir -p "$1" && cd "$1" && ls -t | tail -n "+$2" | while read -r name; do rm -rf "./$name"; done
`;

/** `sh -c LIST list FOLDER`: names of what lies there; nothing if there is no such folder, which is no failure. */
export const LIST = `
[ ! -e "$1" ] || ls "$1"
`;
