# Sourced by the scripts beside it: installs Debian packages that are missing. Nothing else.

# install NAME…: needs root only where something is missing.
install() {
  local missing=() name
  for name in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if ! command -v apt-get >/dev/null; then
    echo "install these first (Debian's names): ${missing[*]}" >&2
    return 1
  fi
  local as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  echo "installing ${missing[*]}" >&2
  # A list that is days old names versions the archive no longer has.
  "${as_root[@]}" apt-get update -qq >&2
  # What a package starts by itself is not wanted: the tests start what they need.
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# install_postgresql: the server's programs alone. No cluster of the machine's is made, and none is started: the tests make
# their own.
install_postgresql() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' postgresql 2>/dev/null)" != installed ] || return 0
  local conf=/etc/postgresql-common/createcluster.conf as_root=() outcome=0
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  install postgresql-common || return 1
  "${as_root[@]}" sed -i '$a create_main_cluster = false' "$conf" || return 1
  install postgresql || outcome=$?
  "${as_root[@]}" sed -i '/^create_main_cluster = false$/d' "$conf"
  return $outcome
}

# unpack_newer SUITE DIRECTORY NAME…: unpacks packages of a later Debian release, found by the machine's own package
# sources, into a directory of their own, with their C library; nothing is installed. DIRECTORY/bin/PROGRAM runs one
# of their programs. Fails where there is no such source.
unpack_newer() {
  local suite=$1 directory=$2 work options
  shift 2
  [ ! -e "$directory/.complete" ] || return 0
  install gpgv || return 1
  work=$(mktemp -d)
  mkdir -p "$work"/lists/partial "$work"/cache/archives/partial "$directory/bin"
  . /etc/os-release
  cat /etc/apt/sources.list.d/debian.sources 2>/dev/null | sed "s/\b$VERSION_CODENAME\b/$suite/g" >"$work/newer.sources"
  options=(-qq -o "Dir::Etc::sourcelist=$work/newer.sources" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o "APT::Sandbox::User=$(id -un)")
  (
    cd "$work" && apt-get "${options[@]}" update && apt-get "${options[@]}" download "${@/%//$suite}" &&
      for package in *.deb; do dpkg -x "$package" "$directory" || exit 1; done
  ) >&2 || { rm -rf "$work"; return 1; }
  rm -rf "$work"
  local libraries program
  libraries=$(dirname "$(find "$directory/usr/lib" -name 'ld-linux-*.so.*' | head -n 1)") || return 1
  for program in "$directory"/usr/bin/*; do
    printf '#!/bin/sh\nexec "%s"/ld-linux-*.so.* --library-path "%s" "%s" "$@"\n' "$libraries" "$libraries" "$program" \
      >"$directory/bin/${program##*/}" && chmod +x "$directory/bin/${program##*/}" || return 1
  done
  touch "$directory/.complete"
}
