#!/bin/sh
# For a machine with a GPU and neither JDK nor Maven nor network: unpacks target/stepd-bundle.tar.gz (`./stepd bundle` made it
# elsewhere) and does what it is told: `bench`, `test [CLASS...]`, `memcheck [CLASS...]`; without a word all three. What they say,
# and the table of figures, goes to the folder $OUT (target/gpu if that is not set). Ends with an error if one of them did.
set -eu
cd "$(dirname -- "$0")/../../.."
out=${OUT:-$PWD/target/gpu}
mkdir -p "$out"
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
tar -C "$unpacked" -xzf target/stepd-bundle.tar.gz
stepd=$unpacked/stepd-bundle/stepd

# Where no toolkit is installed NVRTC comes with torch, among the packages of a Python that may not be the system's.
if [ -z "${STEPD_NVRTC:-}" ] && ! ls /usr/local/cuda*/lib64/libnvrtc.so* > /dev/null 2>&1; then
    STEPD_NVRTC=$(python3 -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])' 2> /dev/null || true)
    export STEPD_NVRTC
fi
nvidia-smi > "$out/nvidia-smi.txt" 2>&1 || true

failed=0
# Runs the command that follows $1, and keeps what it says under that name.
keep() {
    name=$1
    shift
    echo "== $name"
    { "$@" 2>&1 && echo "$name: passed" || echo "$name: FAILED"; } | tee "$out/$name.txt"
    tail -n 1 "$out/$name.txt" | grep -q ': passed$' || failed=1
}

what=${1:-all}
[ $# -eq 0 ] || shift
case $what in all | bench)
    keep bench "$stepd" bench --gpu ${STEPD_GPU_QUICK:+--quick}
    cp "$unpacked/stepd-bundle/target/benchmarks-gpu.md" "$out" 2> /dev/null || true
    ;;
esac
case $what in all | test) keep test "$stepd" test --gpu "$@" ;; esac
case $what in all | memcheck) keep memcheck "$stepd" test --gpu --memcheck "$@" ;; esac
exit $failed
