#!/bin/bash
# Makes the databases beside it with rpm itself (4.18 or later) and Berkeley DB's own db_load: two packages, in
# each of the three forms that rpm's database has had.
# Debian's packages rpm and db-util; nothing of a distribution's packages is in them.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >hello.spec <<'SPEC'
Name: hello
Epoch: 1
Version: 2.10
Release: 3
Summary: Says hello
License: GPLv3+
Vendor: Example Vendor
URL: https://example.org/hello
Provides: greeting = 1
%description
Says hello.
%install
mkdir -p %{buildroot}/usr/lib/python3/site-packages/hello-2.10.dist-info
echo 'Name: hello' >%{buildroot}/usr/lib/python3/site-packages/hello-2.10.dist-info/METADATA
mkdir -p %{buildroot}/usr/bin
printf '\177' >%{buildroot}/usr/bin/hello
chmod 755 %{buildroot}/usr/bin/hello
%files
/usr/bin/hello
/usr/lib/python3
SPEC
# Long enough for pages of its own.
cat >many.spec <<'SPEC'
Name: many
Version: 1
Release: 1
Summary: Many files
License: MIT and ASL 2.0
BuildArch: noarch
Requires: greeting >= 1, /usr/bin/hello, absent
%description
Many files.
%install
mkdir -p %{buildroot}/usr/share/many
for i in $(seq 400); do echo $i >%{buildroot}/usr/share/many/a-file-with-a-long-name-$i; done
%files
/usr/share/many
SPEC
for spec in hello many; do
  rpmbuild -bb --quiet --define "_topdir $work/top" --define '_build_id_links none' --target x86_64 "$spec.spec"
done
rpm --root "$work/root" --define '_db_backend sqlite' --initdb
rpm --root "$work/root" --define '_db_backend sqlite' -i --nodeps --ignorearch --justdb top/RPMS/*/*.rpm
cp "$(find root -name rpmdb.sqlite)" "$here"
# The headers that rpm wrote, as the values of a hash, which is all that the older form was; and as rpm's own ndb
# (lib/backend/ndb/rpmpkg.c), which Debian's rpm is built without: a page of slots, then the headers.
python3 - "$here/rpmdb.sqlite" "$here/Packages.db" >dump <<'PYTHON'
import sqlite3, struct, sys, zlib
rows = sqlite3.connect(sys.argv[1]).execute("select hnum, blob from Packages").fetchall()
slots, blobs, at = b"", b"", 4096
for number, blob in rows:
    body = struct.pack("<4sIII", b"BlbS", number, 1, len(blob)) + blob
    body += b"\0" * (-(len(body) + 12) % 16)
    tail = struct.pack("<II4s", zlib.adler32(body), len(blob), b"BlbE")
    slots += struct.pack("<4sIII", b"Slot", number, at // 16, (len(body) + 12) // 16)
    blobs += body + tail
    at += len(body) + 12
empty = struct.pack("<4sIII", b"Slot", 0, 0, 0)
head = struct.pack("<4sIIII12x", b"RpmP", 0, 1, 1, len(rows) + 1)
page = head + slots + empty * ((4096 - len(head) - len(slots)) // 16)
open(sys.argv[2], "wb").write(page + blobs)
print("VERSION=3\nformat=bytevalue\ntype=hash\ndb_pagesize=4096\nHEADER=END")
for number, blob in [(0, struct.pack("<I", len(rows)))] + rows:
    print(" " + struct.pack("<I", number).hex())
    print(" " + blob.hex())
print("DATA=END")
PYTHON
rm -f "$here/Packages"
db_load -f dump "$here/Packages"
