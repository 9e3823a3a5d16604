# The walls of a container, without an engine: sh walls.sh PROGRAM JAVA VOLUME USER COMMAND...
# In a mount namespace of its own (unshare --mount). PROGRAM is /opt/stepd and has an empty folder `image` for JAVA, VOLUME is
# the volume, /tmp is new and empty, and nothing else can be written. COMMAND runs as USER with no rights to gain.
set -eu
program=$1 java=$2 volume=$3 user=$4
shift 4
mount -t tmpfs walls /opt
mkdir /opt/stepd
mount --bind "$program" /opt/stepd
mount --bind "$java" /opt/stepd/image
mount -t tmpfs walls /var/lib
mkdir /var/lib/stepd
mount --bind "$volume" /var/lib/stepd
mount -t tmpfs -o size=64m,mode=1777 walls /tmp
for place in / /opt/stepd /opt/stepd/image; do
    mount -o remount,ro,bind "$place"
done
mount -o remount,ro /opt
mount -o remount,ro /var/lib
cd /opt/stepd
exec setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all "$@"
