/**
 * The shell of the directory backend: POSIX sh with coreutils and setsid, so that it needs no file of its own and works
 * from a single binary. Values come as arguments, never spliced into the text.
 */

/**
 * The detached unit: `sh -c UNIT unit DIR PROGRAM DEADLINE_SECS BOOT_ID NONCE`.
 *
 * The folder is prepared beside its name and renamed into place, so that a unit that exists always says who runs it, and
 * a name that is taken refuses (rename onto a folder that is not empty fails): the lock against firing twice.
 * TERM only wakes this shell: it stays to write down how the program ended. Output is kept in chunks, the newest three of
 * at most 512 KiB, because a file would fill the disk and `tail` would lose all when the unit is killed. A service that
 * the program left behind may hold the pipe for ever, so that the outcome waits for the last output one second at most.
 */
export const UNIT = `
dir=$1 program=$2 deadline=$3 boot=$4 nonce=$5
new=$dir.new.$$
mkdir "$new" && mkfifo "$new/pipe" || exit 1
read -r stat < "/proc/$$/stat"
set -- \${stat##*) }
printf '%s\\n' "$$" "\${20}" "$boot" "$nonce" > "$new/start"
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
timeout -k 5 "$deadline" "$program" switch > "$dir/pipe" 2>&1 < /dev/null
code=$?
turn=0
while [ ! -e "$dir/kept" ] && [ "$turn" -lt 100 ]; do turn=$((turn + 1)); sleep 0.01; done
printf '%s\\n' "$code" > "$dir/outcome.new" && mv "$dir/outcome.new" "$dir/outcome"
`;

/** `sh -c DETACH detach ROOT UNIT …`: a session of its own, child of nobody, with an environment that holds nothing of ours. */
export const DETACH = `
root=$1
shift
exec env -i PATH="$PATH" NIXWAVE_ROOT="$root" setsid --fork sh -c "$@" < /dev/null > /dev/null 2>&1
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

/** `sh -c LINK link TARGET NAME`: swapped in one rename; a reader sees the old or the new, never none. */
export const LINK = `
mkdir -p "\${2%/*}" && ln -s "$1" "$2.new.$$" && mv -T "$2.new.$$" "$2"
`;

/** `sh -c LINKS links NAME…`: one line for each, empty where there is no link. */
export const LINKS = `
for name; do readlink "$name" || printf '\\n'; done
`;

/**
 * `sh -c COPY copy FROM BESIDE TO`: a copy that was interrupted lies beside and is begun anew. Losing the race for the
 * name against another agent with the same closures is no failure.
 */
export const COPY = `
rm -rf "$2" && cp -a "$1" "$2" || exit 1
mv -T "$2" "$3" 2>/dev/null || { rm -rf "$2"; [ -d "$3" ]; }
`;

/** `sh -c PRUNE prune FOLDER FIRST`: of what lies there, from the FIRST newest on, everything is removed. */
export const PRUNE = `
mkdir -p "$1" && cd "$1" && ls -t | tail -n "+$2" | while read -r name; do rm -rf "./$name"; done
`;

/** `sh -c LIST list FOLDER`: names of what lies there; nothing if there is no such folder, which is no failure. */
export const LIST = `
[ ! -e "$1" ] || ls "$1"
`;
