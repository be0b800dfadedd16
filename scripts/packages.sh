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
