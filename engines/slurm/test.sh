#!/usr/bin/env bash
# A Slurm of one node, below a temporary folder and on the loopback, runs the job files that chipmill prints.
#
#   engines/slurm/test.sh [CHIPMILL]
#
# Needs Debian's slurm-wlm and munge, and root; without them it says so and ends well. It starts munged,
# slurmctld and slurmd with a configuration of its own, and stops them.
set -euo pipefail
cd "$(dirname "$0")/../.."
chipmill=$(realpath "${1:-${CARGO_TARGET_DIR:-target}/release/chipmill}")

skip() {
    echo "skipped: $*"
    exit 0
}
for program in slurmctld slurmd sbatch squeue munged; do
    PATH=$PATH:/usr/sbin command -v "$program" >/dev/null ||
        skip "needs $program (Debian: slurm-wlm munge)"
done
[ "$(id -u)" = 0 ] || skip "needs root to start slurmd"
PATH=$PATH:/usr/sbin

work=$(mktemp -d)
pids=()
stop() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap stop EXIT
die() {
    echo "failed: $*" >&2
    tail -n 20 "$work"/*.log "$work"/jobs/*.out 2>/dev/null >&2
    exit 1
}

start_slurm() {
    local host cores
    host=$(hostname -s) cores=$(nproc)
    mkdir -p "$work"/{munge,state,spool,jobs}
    chmod 700 "$work/munge"
    head -c 1024 /dev/urandom > "$work/munge/key"
    chmod 400 "$work/munge/key"
    munged --foreground --force --key-file "$work/munge/key" --socket "$work/munge/socket" \
        --pid-file "$work/munge/pid" --log-file "$work/munge/log" --seed-file "$work/munge/seed" \
        >"$work/munged.log" 2>&1 &
    pids+=($!)
    cat > "$work/slurm.conf" <<CONF
ClusterName=loopback
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket
CredType=cred/munge
SlurmctldPort=26817
SlurmdPort=26818
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,batch_sched_delay=0,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
MinJobAge=300
KillWait=5
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cores RealMemory=1000 State=UNKNOWN
PartitionName=cpu Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
    export SLURM_CONF=$work/slurm.conf
    sleep 1
    slurmctld -D -f "$SLURM_CONF" >"$work/slurmctld.out.log" 2>&1 &
    pids+=($!)
    slurmd -D -f "$SLURM_CONF" >"$work/slurmd.out.log" 2>&1 &
    pids+=($!)
    for _ in $(seq 60); do
        [ "$(sinfo -h -o %T 2>/dev/null)" = idle ] && return
        sleep 0.5
    done
    sinfo >&2 || true
    die "the node did not become idle within 30 s"
}

# Until no job is left, or for so many seconds.
wait_for_jobs() {
    for _ in $(seq "$1"); do
        [ -n "$(squeue -h)" ] || return 0
        sleep 1
    done
    squeue >&2
    die "jobs are still there after $1 s"
}

# Calls chipmill; the first try of unit 2 is told to try again, that of unit 3 is killed with TERM by
# Slurm's signal before its time is up.
cat > "$work/chipmill" <<WRAPPER
#!/usr/bin/env bash
last=\${!#}
if [ "\$2" = work ] && [ ! -e "$work/tried-\$last" ]; then
    touch "$work/tried-\$last"
    case \$last in
        2) exit 75 ;;
        3) trap 'echo term >> "$work/signalled"; exit 143' TERM; sleep 600 & wait ;;
    esac
fi
exec "$chipmill" "\$@"
WRAPPER
chmod +x "$work/chipmill"

began=$(date +%s.%N)
start_slurm
ready=$(date +%s.%N)

"$chipmill" sample "$work/raw" --layout v2 --patches 48 --seed 5 >/dev/null
source=$work/raw/BigEarthNet-S2
"$chipmill" ingest "$source" --metadata "$work/raw/metadata.parquet" --shard-patches 8 \
    --store "$work/expected" >/dev/null
store="$work/a store's \$place"
"$chipmill" ingest plan "$source" --metadata "$work/raw/metadata.parquet" --shard-patches 8 \
    --store "$store" >/dev/null
"$chipmill" ingest emit slurm --store "$store" --partition cpu --time 00:01:00 --grace 50 \
    --memory 100M --cpus 1 --command "$work/chipmill" > "$work/ingest.slurm"
cd "$work/jobs"
bash "$work/ingest.slurm"
wait_for_jobs 240
ended=$(date +%s.%N)

"$chipmill" verify "$store" >/dev/null || die "the store does not verify"
diff -r --exclude=.ingest "$work/expected" "$store" || die "the store differs from that of one process"
grep -q "exit code 75" slurm-*_2.out || die "unit 2 was not put back"
[ "$(cat "$work/signalled")" = term ] || die "unit 3 got no TERM before its time was up"
grep -q "exit code 143" slurm-*_3.out || die "unit 3 was not put back"

# A unit that cannot succeed is not tried again, and finalize does not begin.
broken=$work/broken
"$chipmill" ingest plan "$source" --shard-patches 8 --store "$broken" >/dev/null
"$chipmill" ingest emit slurm --store "$broken" --time 00:01:00 --memory 100M --cpus 1 \
    --command "$chipmill" > "$work/broken.slurm"
mv "$source" "$source.away"
bash "$work/broken.slurm"
wait_for_jobs 120
[ ! -e "$broken/zarr.json" ] || die "a store was made without its units"
refused=$(grep -l "of the planned source is not here" slurm-*.out) || die "no unit said why it failed"
# shellcheck disable=SC2086
! grep -l "back into the queue" $refused || die "a permanent failure was tried again"

awk -v a="$began" -v b="$ready" -v c="$ended" 'BEGIN {
    printf "slurm: up in %.1f s; 6 units and finalize, one told to try again and one out of time, in %.1f s\n", b - a, c - b }'
echo "1 passed, 0 failed"
