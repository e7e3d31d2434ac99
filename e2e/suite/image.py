"""The image: its last stage built with buildah around the program under test, and run without anything else."""
import contextlib
import json
import os
import re
import shutil
import struct
import subprocess

from .case import scenario, shorten
from .deployment import DEPLOY, ROOT, call
from .product import CLEAN, COULD_NOT_RUN, FINDINGS

DOCKERFILE = os.path.join(DEPLOY, "image", "Dockerfile")
USER = 65532
# Machine of an ELF program, as images name it.
ARCHITECTURES = {62: "amd64", 183: "arm64"}
PT_INTERP = 3


def elf(path):
    """(architecture, whether it needs libraries) of a 64-bit program."""
    with open(path, "rb") as f:
        data = f.read(4096)
    machine, = struct.unpack_from("<H", data, 18)
    table, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    kinds = {struct.unpack_from("<I", data, table + i * size)[0] for i in range(count)}
    return ARCHITECTURES.get(machine, f"machine {machine}"), PT_INTERP in kinds


def kernel_refuses():
    """Why no file system can be mounted for a process alone, which every container needs; nothing when it can."""
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True)
    return tried.stderr.strip() if tried.returncode else None


class Image:
    """The last stage of the Dockerfile, built around a program; earlier stages are folders, so nothing is pulled."""

    def __init__(self, world, program, version, revision):
        self.storage = ["--storage-driver", "vfs", "--root", world.path("images/root"), "--runroot", world.path("images/run")]
        self.architecture, self.dynamic = elf(program)
        stages = {"build": (program, "out/healthcheck"), "authorities": ("/etc/ssl/certs/ca-certificates.crt", "etc/ssl/certs/ca-certificates.crt")}
        contexts = []
        for stage, (source, place) in stages.items():
            folder = world.path(f"stage-{stage}")
            os.makedirs(os.path.dirname(os.path.join(folder, place)), exist_ok=True)
            shutil.copy(source, os.path.join(folder, place))
            contexts += ["--build-context", f"{stage}={folder}"]
        nothing = world.path("stage-nothing")
        os.makedirs(nothing, exist_ok=True)
        self.log = self.buildah("bud", "--isolation", "chroot", "--platform", f"linux/{self.architecture}", *contexts,
                                "--build-arg", f"VERSION={version}", "--build-arg", f"REVISION={revision}",
                                "-f", DOCKERFILE, "-t", "healthcheck:e2e", nothing)
        self.container = self.buildah("from", "--pull-never", "healthcheck:e2e").strip()

    def buildah(self, *args):
        return call("buildah", *self.storage, *args, timeout=300)

    def config(self):
        """The configuration of the image, as registries have it."""
        return json.loads(self.buildah("inspect", "--type", "image", "healthcheck:e2e"))["OCIv1"]

    def run(self, *args, out=None):
        """Runs it as a container; `out` is a folder that it may write to."""
        # A program that is not static borrows the libraries of this machine.
        borrowed = [part for folder in ("/lib", "/lib64") if self.dynamic and os.path.isdir(folder) for part in ("-v", f"{folder}:{folder}:ro")]
        volume = ["-v", f"{out}:/reports"] if out else []
        command = ["buildah", *self.storage, "run", "--isolation", "chroot", *borrowed, *volume, self.container, "--", "/healthcheck", *args]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    def run_read_only(self, *args):
        """Runs it as its user with nothing but its own file system, which nobody can write to."""
        root = self.buildah("mount", self.container).strip()
        borrowed = ""
        for folder in ("/lib", "/lib64"):
            if self.dynamic and os.path.isdir(folder):
                os.makedirs(root + folder, exist_ok=True)
                borrowed += f"mount --bind {folder} $0{folder}; "
        script = f'set -e; mount --bind $0 $0; cd $0; {borrowed}mount -o remount,bind,ro $0; exec chroot --userspec={USER}:{USER} $0 /healthcheck "$@"'
        return subprocess.run(["unshare", "--mount", "sh", "-c", script, root, *args], env={}, capture_output=True, text=True, timeout=120)


@contextlib.contextmanager
def built(world, program):
    """An image of this clone around a program."""
    with open(os.path.join(ROOT, "Cargo.toml"), encoding="utf-8") as f:
        version = re.search(r'^version = "(.+)"', f.read(), re.M)[1]
    known = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    image = Image(world, program, version, known.stdout.strip() or "unknown")
    try:
        yield image, version, known.stdout.strip() or "unknown"
    finally:
        image.buildah("rm", "--all")


@scenario
def image(world, case):
    """The Dockerfile's last stage, built and run: labels, architecture, user, and the program with a root that is read-only."""
    refused = kernel_refuses()
    if refused:
        case.note(f"left out, the kernel gives no mount namespace: {refused}")
        return
    with built(world, world.product.binary) as (made, version, revision):
        config = made.config()
        labels = config["config"]["Labels"]
        case.equal(labels.get("org.opencontainers.image.version"), version, "label of the version")
        case.equal(labels.get("org.opencontainers.image.revision"), revision, "label of the revision")
        for label in ("title", "description", "source", "licenses"):
            case.expect(labels.get(f"org.opencontainers.image.{label}"), f"no label {label}")
        case.equal((config["os"], config["architecture"]), ("linux", made.architecture), "platform, and that of the program in it")
        case.equal(config["config"]["User"], f"{USER}:{USER}", "user")
        case.equal(config["config"]["Entrypoint"], ["/healthcheck"], "entry point")

        run = made.run("--version")
        case.equal(run.returncode, 0, f"--version: exit code ({shorten(run.stderr)})")
        case.contains(run.stdout, f"healthcheck {version}", "--version, and the label")
        reports = world.path("image-reports")
        os.makedirs(reports, exist_ok=True)
        os.chmod(reports, 0o777)
        run = made.run("check", "--prometheus", world.prometheus, "--no-kubernetes", "--at", world.at, "-o", "/reports/report.json", out=reports)
        if case.expect(run.returncode in (CLEAN, FINDINGS), f"check: exit {run.returncode}: {shorten(run.stderr)}"):
            case.equal(os.stat(os.path.join(reports, "report.json")).st_uid, USER, "owner of the report")

        run = made.run_read_only("demo", "--format", "json")
        if case.equal(run.returncode, CLEAN, f"demo on a read-only root: exit code ({shorten(run.stderr)})"):
            case.expect(json.loads(run.stdout)["findings"], "demo on a read-only root: no findings")
        run = made.run_read_only("demo", "-o", "/report.json")
        case.equal(run.returncode, COULD_NOT_RUN, f"a report on the read-only root: exit code ({shorten(run.stderr)})")
        case.contains(run.stderr, "/report.json", "a report on the read-only root: standard error")
        size = os.path.getsize(world.product.binary) / 2**20
        how = "with the libraries of this machine, for it is not static" if made.dynamic else "static, on scratch"
        case.note(f"{config['architecture']}, program of {size:.0f} MiB {how}")
