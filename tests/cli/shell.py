"""Running the `minidl` command as a person or a script does: in its own process, in its own folder."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

__all__ = ["COMMAND", "RUN_FILES", "Terminal", "minidl", "one_line", "start", "train"]

COMMAND = [sys.executable, "-m", "minidl"]
RUN_FILES = {
    "config.json", "history.json", "weights.safetensors", "checkpoint.safetensors",
    "curves.png", "confusion.png", "mistakes.png",
}  # fmt: skip


def minidl(*words, cwd, **environment):
    """Run to the end; the finished process with its output as text."""
    return subprocess.run(
        [*COMMAND, *map(str, words)],
        cwd=cwd,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def train(*words, cwd, **environment):
    """A short run that must succeed."""
    done = minidl("train", "mnist", "--epochs", 1, "--batch-size", 512, *words, cwd=cwd, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def start(*words, cwd, **environment):
    """Begin, with pipes."""
    return subprocess.Popen(
        [*COMMAND, *map(str, words)],
        cwd=cwd,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def one_line(done, *parts):
    """Nothing but one line of complaint, exit code 2, and in the line what the caller needs to know."""
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert done.stdout == ""
    assert done.stderr.endswith("\n")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("minidl")
    for part in parts:
        assert part in done.stderr
    return True


class Terminal:
    """The command in a terminal of its own."""

    def __init__(self, *words, cwd, columns=100, **environment):
        self.pid, self.screen = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.environ.update(
                {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "30", **environment}
            )
            os.execv(COMMAND[0], [*COMMAND, *map(str, words)])
        self.text = ""

    def read_until(self, pattern, seconds=60):
        """What was shown so far, once the pattern is in it."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.text):
            assert time.monotonic() < end, f"no {pattern!r} in {self.text[-500:]!r}"
            if not self._read():
                raise AssertionError(f"ended without {pattern!r}: {self.text[-500:]!r}")
        return self.text

    def _read(self):
        ready, _, _ = select.select([self.screen], [], [], 0.2)
        if not ready:
            return True
        try:
            part = os.read(self.screen, 65536)
        except OSError:  # how Linux says that the other end is closed
            return False
        self.text += part.decode("utf-8", "replace")
        return bool(part)

    def press(self, keys):
        os.write(self.screen, keys)

    def wait(self):
        """Read to the end; the exit code."""
        while self._read():
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.screen)
        self.pid = None
        return os.waitstatus_to_exitcode(status)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self.screen)

    @property
    def plain(self):
        """The text without escape sequences."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.text)


def config(folder, **changes):
    """Change settings in a run's config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
