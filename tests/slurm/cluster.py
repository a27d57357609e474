"""A cluster of two nodes on this machine, by Debian's slurmctld, slurmd, slurm-client and munge. Needs root."""

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

NODES = ("n1", "n2")

CONFIG = """
ClusterName=alphallm
SlurmctldHost={host}
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A requeued task waits until its old credential is void: two minutes by default.
AuthInfo=cred_expire=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=bf_interval=5,sched_interval=5
ReturnToService=2
SlurmdTimeout=10
KillWait=5
# Less than the shards of a test, so that a stage takes two arrays.
MaxArraySize=5
SlurmdParameters=config_overrides
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool-%n
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd-%n.pid
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/slurmd-%n.log
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs=1 RealMemory=4000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs=1 RealMemory=4000
PartitionName=main Nodes=n[1-2] Default=YES State=UP MaxTime=INFINITE
"""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Cluster:
    """Two nodes of one core each."""

    def __init__(self, place):
        self.place = Path(place)
        self.config = self.place / "slurm.conf"
        ports = {name: free_port() for name in ("controller", "first", "second")}
        self.config.write_text(CONFIG.format(host=socket.gethostname(), place=self.place, **ports))
        for folder in ("state", *(f"spool-{node}" for node in NODES)):
            (self.place / folder).mkdir()
        self.environment = {"SLURM_CONF": str(self.config)}
        self.processes = {}

    def __enter__(self):
        for program in ("munged", "slurmctld", "slurmd", "sbatch"):
            if not shutil.which(program):
                raise SystemExit(f"{program} is missing: apt-get install slurmctld slurmd slurm-client munge")
        if subprocess.run(["munge", "-n"], capture_output=True).returncode:
            subprocess.run(["mkdir", "-p", "/run/munge"], check=True)
            subprocess.run(["chown", "munge", "/run/munge"], check=True)
            subprocess.run(["runuser", "-u", "munge", "--", "munged"], check=True)
        self.start("slurmctld", "-D")
        for node in NODES:
            self.start_node(node)
        self.wait_until(lambda: self.ask("sinfo", "-h", "-t", "idle", "-o", "%D").strip() == "2", 60)
        return self

    def __exit__(self, *_):
        self.ask("scancel", "--user=root")
        for name in list(self.processes):
            self.stop(name, signal.SIGTERM)

    def start(self, name, *command):
        log = (self.place / f"{name}.out").open("w")
        command = (name.split("-")[0], "-f", str(self.config), *command)
        self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log)

    def start_node(self, node):
        self.start(f"slurmd-{node}", "-D", "-N", node)

    def stop(self, name, how):
        process = self.processes.pop(name)
        process.send_signal(how)
        process.wait()

    def cut_off(self, node):
        """Ends Slurm on a node, but not its tasks: they race with those that take their place."""
        jobs = self.ask("squeue", "-h", "-t", "running", "-w", node, "-o", "%A").split()
        self.stop(f"slurmd-{node}", signal.SIGKILL)
        for job in jobs:
            subprocess.run(["pkill", "-KILL", "-f", rf"^slurmstepd: \[{job}\."], check=True)

    def ask(self, *command):
        """What a command of Slurm prints; empty if it fails."""
        done = subprocess.run(command, env={"PATH": "/usr/bin:/usr/sbin:/bin", **self.environment}, capture_output=True, text=True)
        return done.stdout if done.returncode == 0 else ""

    def running(self, node=None):
        """The tasks that run, or those on a node."""
        where = ("-w", node) if node else ()
        return self.ask("squeue", "-h", "-t", "running", "-o", "%i", *where).split()

    @staticmethod
    def wait_until(holds, seconds):
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, f"waited {seconds} s in vain"
            time.sleep(0.2)
