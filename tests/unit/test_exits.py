"""How a process ends."""

import subprocess
import sys

CODE = """
import atexit, threading, time
from jobs.setup.exits import leave
atexit.register(lambda: print("registered"))
threading.Thread(target=time.sleep, args=(60,)).start()
print("told", end=" ")
leave(10)
"""


def test_a_process_leaves_at_once_with_its_code_and_all_it_said():
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stdout) == (10, "told registered\n")
